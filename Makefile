# Two commands for a machine with nothing but Python 3.11+: `make train` and `make test`. The rest is for developers.
VENV ?= .venv
PY   := $(VENV)/bin/python
# uv does not read pip's settings: hand it the folder of wheels that pip is told of, where there is one
LINKS := $(shell python3 -m pip config get :env:.find-links 2>/dev/null || python3 -m pip config get global.find-links 2>/dev/null)
# without cached byte code each start of torch takes 7 s instead of 3 s
unexport PYTHONDONTWRITEBYTECODE

.PHONY: train test check format clean
# the networks of 8 x 8 digits are too small for a second thread, which on a busy machine only waits
train: $(VENV)/.ok
	OMP_NUM_THREADS=1 $(VENV)/bin/wgan train digits --conditional --steps 1500 --n-critic 3 --lr 2e-3 --ema 0.99

test: $(VENV)/.ok
	$(PY) -m pytest -n auto --maxprocesses 4

check: $(VENV)/.ok
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(PY) -m pytest tests/test_layers.py tests/test_docs.py

format: $(VENV)/.ok
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

$(VENV)/.ok: pyproject.toml constraints.txt
	python3 -m venv $(VENV)
	$(PY) -m pip install -q uv
	UV_FIND_LINKS="$(LINKS)" $(VENV)/bin/uv pip install -q --python $(PY) -c constraints.txt -e . --group test --group lint
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
