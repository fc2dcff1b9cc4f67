"""A lookup that finds the engine which the user's own `docker` speaks to."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

SOCKET = "unix:///var/run/docker.sock"


def endpoint(environment: Mapping[str, str]) -> str:
    """Return the address by the rules of ``docker``: DOCKER_HOST, else that of the current context, else SOCKET.

    Source: https://docs.docker.com/engine/manage-resources/contexts/

    Raises:
        AnsibleLookupError: the context cannot be followed.
    """
    if environment.get("DOCKER_HOST"):
        return environment["DOCKER_HOST"]
    folder = Path(environment.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker"))
    try:
        current = json.loads((folder / "config.json").read_bytes()).get("currentContext")
    except (OSError, ValueError, AttributeError):
        current = None  # docker, too, goes on without
    name = environment.get("DOCKER_CONTEXT") or current or "default"
    if name == "default":
        return SOCKET
    number = hashlib.sha256(name.encode()).hexdigest()
    try:
        described = json.loads((folder / "contexts/meta" / number / "meta.json").read_bytes())
        address = str(described["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, LookupError, TypeError):
        line = f"the docker context {name} cannot be read: choose another with `docker context use`, or set DOCKER_HOST"
        raise AnsibleLookupError(line) from None
    if (folder / "contexts/tls" / number).exists():
        line = f"the docker context {name} has certificates: name them by DOCKER_CERT_PATH, with DOCKER_TLS_VERIFY=1"
        raise AnsibleLookupError(f"{line} and DOCKER_HOST={address}")
    return address


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible publishes no types
    """What Ansible looks for in this file."""

    def run(self, *_: object, **__: object) -> list[str]:
        """Return the address, as a list of one."""
        return [endpoint(os.environ)]
