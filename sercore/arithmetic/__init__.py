"""The sources' own arithmetic, audited from what they print: no recording is needed, and nothing is measured.

Audit(...)              all of it, each part computed once: readings, grids, columns, twins, splits, places
findings.findings(...)  one row a finding: source, place, kind, printed, ours, basis, consequence

Every finding says what it rests on. *Arithmetic* follows from printed digits alone. *Inference from printed decimals* reads a test-set
size off the grid on which printed accuracies lie: such a size is one that the numbers are consistent with, no more. A *fact about the
corpus* needs the number of its speakers or recordings. *Reading* was found by a person who read the text, and is not computed. A finding
is about numbers on a page; why they are so is not known here, and a slip of the pen is the usual reason.
"""

from sercore.arithmetic.audit import Audit  # noqa: F401  (the address that pages use)
