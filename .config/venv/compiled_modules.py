"""Lets Ansible's modules on this machine use compiled code, which saves 30 % of a warm run (docs/performance.md).

Ansible sends each module in an archive, with the sources of all that it imports; Python compiles them anew in each task.
The same sources are in .venv, compiled. A package that is imported from there before the module starts is not looked for
in the archive.

`make setup` copies this file to where .venv has its packages, beside compiled_modules.pth, by which each Python of .venv
imports it when it starts. To be without it, delete that .pth file. That is needed where a community.docker of another
version is installed as a collection: its modules would get the library of the one in .venv.
"""

import sys

if "/AnsiballZ_" in str(sys.orig_argv):
    import ansible.module_utils
if "/AnsiballZ_docker_" in str(sys.orig_argv):
    import ansible_collections.community.docker.plugins.module_utils  # noqa: F401
