"""What is refused here is refused in the words of before."""

from tests.recorded import sentences

refusals = sentences()
