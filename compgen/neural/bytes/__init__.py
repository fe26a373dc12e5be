"""Networks over bytes, computed in integers, so that files decode on every machine.

``weights.py`` rounds a checkpoint to integers and describes the arithmetic. Three backends compute with these weights
and give equal logits: ``torch_forward.py`` (the reference), ``numba_forward.py`` (a CPU) and ``triton_forward.py``
(a GPU). ``network.py`` loads a folder and chooses a backend. ``state.py`` and ``cuda_state.py`` turn logits into
distributions, row by row, on a CPU and on a GPU.
"""

import os

# OpenMP reads this when torch is first imported. Threads that spin while they wait starve others on the same cores.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
