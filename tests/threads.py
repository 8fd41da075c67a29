"""What the system says of the threads of a process."""

from pathlib import Path


def other_threads_that_take(pid, number):
    """The ids of the threads, but for the main one, that the system may give the signal to."""
    blocked = {}
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines())
        blocked[int(fields["Pid"])] = int(fields["SigBlk"], 16)
    assert len(blocked) > 1, "there are no threads to choose from"
    return [thread for thread, mask in blocked.items() if thread != pid and not mask >> (number - 1) & 1]
