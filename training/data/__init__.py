"""Public inspection data sets and folders of one's own, read into one type of sample.

`training.data.layouts.read_dataset` reads a whole set. Importing this package is cheap; pydantic loads with the layouts,
anomalib only when a set is read through it.
"""

from training.data.mask import read_mask
from training.data.sample import GOOD, DataError, Dataset, Question, Sample

__all__ = ["GOOD", "DataError", "Dataset", "Question", "Sample", "read_mask"]
