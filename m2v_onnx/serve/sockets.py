"""What the HTTP server does not set of its sockets."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path


def drop_stalled(seconds: float) -> bool:
    """Let the system close connections of this process whose other end takes no data for so long (Linux).

    Without this a client that does not read holds its answer in memory as long as it likes. A connection that is
    accepted later has the setting of the socket that listens. granian makes that one in Rust and hands it to nobody.

    :return: whether a socket that listens was there.
    """
    found = False
    for path in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # of one that was closed meanwhile, or listens for something else than TCP
            number = int(path.name)
            if not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as one:
                if one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(1000 * seconds))
                    found = True
    return found
