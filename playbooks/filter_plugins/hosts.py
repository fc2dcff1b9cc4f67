"""A filter that says which hosts a play is about; Ansible itself is content with none."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader

GROUP = "docker_hosts"


def hosts(groups: Mapping[str, Sequence[str]], limit: str = "") -> str:
    """Return GROUP, as a play takes it: the names of its hosts would be taken for patterns.

    Raises:
        AnsibleFilterError: the group has no host, or none that ``--limit``, if given, leaves.
    """
    if not groups.get(GROUP):
        raise AnsibleFilterError("No inventory that was read has hosts in a group docker_hosts: name one with -i")
    if limit:
        inventory = InventoryManager(DataLoader(), parse=False)
        for group, names in groups.items():
            inventory.add_group(group)
            for name in names:
                inventory.add_host(name, group)
        inventory.subset(limit)
        if not inventory.get_hosts(GROUP):
            raise AnsibleFilterError(f"--limit {limit} leaves no host of the group {GROUP}")
    return GROUP


class FilterModule:
    """What Ansible looks for in this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Return the filters by name."""
        return {"hosts": hosts}
