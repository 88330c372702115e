"""Credential stores for tests: a file, as a customer's own class would be, named in a connection by its dotted path."""

import os
import threading
from pathlib import Path


class FileStore:
    """Keeps the text in a file, which is replaced in one step; saves of several workers do not mix.

    :param conn_id: names the file, in the folder that INTACCT_TEST_STORES names.
    """

    def __init__(self, conn_id):
        self.path = Path(os.environ["INTACCT_TEST_STORES"], conn_id)

    def load(self):
        try:
            return self.path.read_text()
        except FileNotFoundError:
            return None

    def save(self, text):
        new = self.path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        new.write_text(text)
        new.replace(self.path)
