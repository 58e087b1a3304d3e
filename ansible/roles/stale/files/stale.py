"""stale.py UNIT PATH… prints which of the paths have changed since the unit's main
process was started, and its unit file, if systemd has read an older one. It
prints nothing where the unit does not run. A run of the playbook that was
interrupted between a change and the restart leaves such a unit behind."""

import datetime
import os
import subprocess
import sys


def show(unit):
    command = ["systemctl", "show", "--timestamp=us+utc", "--property=ActiveState,NeedDaemonReload,ExecMainStartTimestamp", unit]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def changed(path):
    """Returns when a path, or what it links to, was changed last; 0 if it is not there."""
    latest = 0.0
    for look in (os.lstat, os.stat):
        try:
            latest = max(latest, look(path).st_ctime)
        except OSError:
            pass
    return latest


def main():
    unit = show(sys.argv[1])
    if unit.get("ActiveState") != "active" or not unit.get("ExecMainStartTimestamp"):
        return
    # Such as: Wed 2026-11-25 01:03:17.123456 UTC
    text = " ".join(unit["ExecMainStartTimestamp"].split()[1:3])
    started = datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=datetime.timezone.utc).timestamp()
    found = [path for path in sys.argv[2:] if changed(path) > started]
    if unit.get("NeedDaemonReload") == "yes":
        found.append(sys.argv[1])
    if found:
        print(sys.argv[1] + " is older than " + ", ".join(found))


main()
