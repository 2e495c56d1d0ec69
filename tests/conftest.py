"""What all tests share: they need a cymx that is built, and the report says which one it is."""

import pytest


def pytest_addoption(parser):
    parser.addoption("--all-kernels", action="store_true", help="compile all GPU kernels for every architecture")
    parser.addoption(
        "--device", choices=["emulated", "real"], default="emulated", help="what the tests of mx.gpu run on"
    )


def pytest_configure(config):
    try:
        import cymx
    except ImportError as error:
        pytest.exit(f"cymx cannot be imported ({error}); install it, or build it in place: see CONTRIBUTING.md", 4)
    config.stash[where] = list(cymx.__path__)[0]


def pytest_report_header(config):
    return f"cymx: {config.stash[where]}"


where = pytest.StashKey[str]()
