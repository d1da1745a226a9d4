"""One thread for every test, in this process and those it starts: weights are compared bit for bit, and the order of
sums follows the number of threads. It is also faster for networks as small as these, most of all on a busy machine.
"""

import os

# before torch is imported, which reads it once
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"
