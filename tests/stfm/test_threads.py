"""A small forecast takes one thread and leaves torch's own number as it was."""

import subprocess
import sys

import pytest
import torch

from terracast.stfm.base.threads import FEW, threads_for


def test_few_series_take_one_thread_and_many_what_torch_has() -> None:
    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with threads_for(FEW):
            assert torch.get_num_threads() == 1
        with threads_for(FEW + 1):
            assert torch.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError), threads_for(1):
            raise ZeroDivisionError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(usual)


def test_threads_of_the_command_sleep_while_they_wait() -> None:
    asked = "import os, terracast.flows.command as command; print(os.environ['OMP_WAIT_POLICY'])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "passive"
