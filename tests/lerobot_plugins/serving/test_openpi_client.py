import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from served_policies import observation, tiny_session

CLIENT = """
import json, sys
import numpy as np
from openpi_client.websocket_client_policy import WebsocketClientPolicy
address, data = sys.argv[1:]
client = WebsocketClientPolicy(address)
observation = dict(np.load(data)) | {"prompt": "pick up the soup"}
try:
    client.infer({})
except RuntimeError as error:
    said = str(error)
actions = client.infer(observation)["actions"]
print(json.dumps([client.get_server_metadata()["policy_type"], said, actions.tolist()]))
"""


@pytest.fixture(scope="module")
def client_python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("client")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    installed = subprocess.run(
        # The client imports typing_extensions and does not ask for it.
        [python, "-m", "pip", "install", "--quiet", "openpi-client", "typing_extensions"],
        capture_output=True,
        text=True,
    )
    if installed.returncode:
        pytest.skip(f"openpi-client cannot be installed: {installed.stderr.strip().splitlines()[-1]}")
    return python


@pytest.mark.slow
def test_the_published_client_gets_the_actions_of_the_policy(client_python, tmp_path):
    session = tiny_session()
    for part in (session.policy, session.before, session.after):
        part.save_pretrained(tmp_path / "policy")
    message = observation(session)
    np.savez(tmp_path / "observation.npz", **{k: v for k, v in message.items() if k != "prompt"})
    command = Path(sys.executable).with_name("lerobot-plugins")
    server = subprocess.Popen(
        [command, "serve", f"--policy.path={tmp_path / 'policy'}", "--policy.device=cpu", "--port=0"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
    )
    try:
        address = server.stdout.readline().split()[3]
        done = subprocess.run(
            [client_python, "-c", CLIENT, address, tmp_path / "observation.npz"],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        policy_type, said, actions = json.loads(done.stdout)
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
        assert server.stdout.read() == "stopped after 1 answers\n"
    finally:
        server.kill()
    assert policy_type == "pi05_comet"
    assert "expected: one of" in said
    np.testing.assert_allclose(actions, session.spawn().chunk(message), atol=1e-6)
