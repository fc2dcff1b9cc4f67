"""A filter that says which hosts a play is about; Ansible itself is content with none."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

GROUP = "docker_hosts"


def hosts(groups: Mapping[str, Sequence[str]], limit: str = "") -> list[str]:
    """Return the hosts of the group docker_hosts that ``--limit``, if given, leaves.

    Raises:
        AnsibleFilterError: there is none.
    """
    if not groups.get(GROUP):
        raise AnsibleFilterError("No inventory that was read has hosts in a group docker_hosts: name one with -i")
    inventory = InventoryManager(DataLoader(), parse=False)
    for group, names in groups.items():
        inventory.add_group(group)
        for name in names:
            inventory.add_host(name, group)
    inventory.subset(limit or None)
    found = [host.name for host in inventory.get_hosts(GROUP)]
    if not found:
        raise AnsibleFilterError(f"--limit {limit} leaves no host of the group {GROUP}")
    return found


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"hosts": hosts}
