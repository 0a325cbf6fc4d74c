"""Protocols in which the server speaks first: mail and FTP, played far enough that a client hands over what it has.

Pure: bytes in, answers out. What is said to the client is the same for everybody, and means yes.
"""

from __future__ import annotations

from typing import Literal

_MAIL_PORTS = (25, 465, 587, 2525)
_FILE_PORTS = (21,)
_LONGEST_LINE = 64 * 1024
_FIRST_DATA_PORT, _DATA_PORTS = 50_000, 10_000

_MAIL = {
    b"EHLO": b"250-mail\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n250-SIZE 52428800\r\n250 8BITMIME\r\n",
    b"HELO": b"250 mail\r\n",
    b"DATA": b"354 go ahead\r\n",
    b"QUIT": b"221 bye\r\n",
    b"STARTTLS": b"220 go ahead\r\n",
}
_FILE = {
    b"USER": b"331 password please\r\n",
    b"PASS": b"230 logged in\r\n",
    b"SYST": b"215 UNIX Type: L8\r\n",
    b"FEAT": b"211-Features:\r\n EPSV\r\n PASV\r\n UTF8\r\n211 End\r\n",
    b"PWD": b'257 "/" is the current directory\r\n',
    b"MKD": b"257 made\r\n",
    b"STOR": b"150 send it\r\n226 got it\r\n",
    b"STOU": b"150 send it\r\n226 got it\r\n",
    b"APPE": b"150 send it\r\n226 got it\r\n",
    b"QUIT": b"221 bye\r\n",
    b"PORT": b"502 use PASV\r\n",
    b"EPRT": b"502 use EPSV\r\n",
    b"AUTH": b"502 not here\r\n",
    b"SIZE": b"550 no such file\r\n",
    b"MDTM": b"550 no such file\r\n",
    b"RETR": b"550 no such file\r\n",
    b"LIST": b"550 nothing here\r\n",
    b"NLST": b"550 nothing here\r\n",
    b"MLSD": b"550 nothing here\r\n",
}


def speaks_first(port: int) -> bool:
    """Whether a client of this port waits to be greeted."""
    return port in _MAIL_PORTS or port in _FILE_PORTS


class Dialogue:
    """The server's side of one connection. `number` spreads FTP's data connections over ports."""

    def __init__(self, port: int, address: str, number: int = 0) -> None:
        self.protocol: Literal["mail", "ftp"] = "mail" if port in _MAIL_PORTS else "ftp"
        self.greeting = b"220 ready\r\n"
        self.starts_tls = False
        """Whether TLS begins after what was answered last."""
        self._address = address
        self._data_port = _FIRST_DATA_PORT + number % _DATA_PORTS
        self._rest = b""
        self._letter = False
        self._secrets = 0

    def answer(self, data: bytes) -> bytes:
        """What to say to `data`. Raises nothing; a line without end is forgotten."""
        self._rest += data
        answers = []
        while b"\n" in self._rest and not self.starts_tls:
            line, _, self._rest = self._rest.partition(b"\n")
            answers.append(self._line(line.rstrip(b"\r")))
        self._rest = self._rest[-_LONGEST_LINE:]
        return b"".join(answers)

    def _line(self, line: bytes) -> bytes:
        words = line.split(maxsplit=2) or [b""]
        verb = words[0].upper()
        if self.protocol == "ftp":
            return self._file(verb)
        if self._letter:
            self._letter = line != b"."
            return b"" if self._letter else b"250 taken\r\n"
        if self._secrets:
            self._secrets -= 1
            return b"334 UGFzc3dvcmQ6\r\n" if self._secrets else b"235 welcome\r\n"
        if verb == b"AUTH":
            return self._login(words[1].upper() if len(words) > 1 else b"", len(words) > 2)
        self._letter = verb == b"DATA"
        self.starts_tls = verb == b"STARTTLS"
        return _MAIL.get(verb, b"250 fine\r\n")

    def _login(self, method: bytes, told: bool) -> bytes:
        """AUTH PLAIN is one secret, AUTH LOGIN two; the first may come with the command."""
        self._secrets = (2 if method == b"LOGIN" else 1) - told
        if not self._secrets:
            return b"235 welcome\r\n"
        return b"334 \r\n" if method != b"LOGIN" else b"334 UGFzc3dvcmQ6\r\n" if told else b"334 VXNlcm5hbWU6\r\n"

    def _file(self, verb: bytes) -> bytes:
        if verb == b"EPSV":
            return b"229 Entering Extended Passive Mode (|||%d|)\r\n" % self._data_port
        if verb == b"PASV":
            if ":" in self._address:
                return b"502 use EPSV\r\n"
            place = self._address.replace(".", ",").encode()
            return b"227 Entering Passive Mode (%s,%d,%d).\r\n" % (place, *divmod(self._data_port, 256))
        return _FILE.get(verb, b"200 fine\r\n")
