"""Recipes of waypoint_vla: each script runs to its end against commands that only write down how they were
called, and every option is one that the real command knows."""

import pytest
from recipes import EXAMPLES, bare_run, calls_of, require_known

RECIPES = sorted(EXAMPLES.glob("waypoint_vla/*.sh"))
GIVEN = {"RLDS": "rlds", "DATA": "data", "OUT": "out", "SIMULATOR": "lerobot-eval"}


@pytest.mark.parametrize("published", ["0", "1"])
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_command_is_one_that_exists(recipe, published, tmp_path):
    calls = calls_of(recipe, tmp_path, **GIVEN, PUBLISHED=published)
    assert "lerobot-train" in [require_known(words) for words in calls]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_what_it_needs(recipe, tmp_path):
    """Started without its data it stops at once, and names the variable."""
    run = bare_run(recipe, tmp_path)
    assert run.returncode != 0
    assert "name the folder of" in run.stderr
    assert not any(tmp_path.iterdir())
