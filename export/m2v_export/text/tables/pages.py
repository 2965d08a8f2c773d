"""Tables by code point, in pages: most pages are like others, and are stored once."""

import numpy as np
import numpy.typing as npt

PAGE = 256
"""Code points in a page."""

MOST_SAID = 1 << 21
"""What four bytes can say is less, be it UTF-8 or not."""

Ints = npt.NDArray[np.int32]


def paged(values: Ints) -> tuple[Ints, Ints]:
    """:param values: int32 [code points].
    :return: int32 [8192], where the page of each 256 code points begins, for all that four bytes can say, which is more
        than there are; int32 [pages * 256], the pages.
    """
    pages: dict[bytes, int] = {}
    page = [pages.setdefault(of.tobytes(), len(pages)) * PAGE for of in values.reshape(-1, PAGE)]
    page += [0] * (MOST_SAID // PAGE - len(page))
    return np.array(page, np.int32), np.frombuffer(b"".join(pages), np.int32)
