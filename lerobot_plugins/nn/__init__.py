"""Networks that several policies share. Imports torch and transformers only, so that it runs anywhere."""
