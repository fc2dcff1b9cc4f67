"""What the verification of this scenario starts from."""

from __future__ import annotations

import pytest
from shared.demo import Demo


@pytest.fixture(scope="session")
def rebuilt() -> Demo:
    """The demo after the side effect, which left nothing but the volume, with its image built again."""
    demo = Demo("default")
    result = demo.play("site.yml", "--tags=build")
    assert result.returncode == 0, result.stdout
    return demo
