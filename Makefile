# The same few commands for people and CI; `make` alone lists them.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
WORKERS ?= 2
SENTENCE := 'I wanted to love this phone, and it is the worst one that I ever had.'

.DEFAULT_GOAL := help
.PHONY: help demo music-demo test lint format bench-compare report measure-compare measure-music clean

help: ## list these commands
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

demo: $(VENV)/.usable ## compare bundled models on a bundled recording, in numbers and in a picture, read a sentence, say a word, make a tune
	@mkdir -p demo
	@$(BIN)/ostinato compare --json demo/compare.json --plot demo/compare.png
	@printf '\n%s\n\n' 'What waiting buys for each task:'
	@$(BIN)/ostinato compare --task all --json demo/tasks.json --plot demo/tasks.png
	@printf '%s\n\n' 'How positive a sentence is, after each of its words, and once it has ended:'
	@$(BIN)/ostinato compare sentiment-uni sentiment-bi --text $(SENTENCE)
	@printf '%s\n\n' 'How a word is spoken that the models have not learnt, while its letters are read, and from both sides:'
	@$(BIN)/ostinato compare phonemes-uni phonemes-bi --text metronome
	@printf '%s\n\n' 'A tune, token by token (with -o jig.wav also as sound):'
	@$(BIN)/ostinato generate tunes --prompt 'M:6/8 L:1/8 K:D' --seed 3 --temperature 0.5 --top-p 0.8
	@printf '\n'
	@printf '%s\n%s\n%s\n' 'With your own microphone:' \
	  '  $(BIN)/ostinato listen digits-uni      digits appear while you speak' \
	  '  $(BIN)/ostinato listen digits-bi       digits appear once you have paused'
	@$(BIN)/python -c 'import sounddevice' 2>/dev/null || printf '%s\n' \
	  'A microphone needs PortAudio, which this machine lacks: on Debian and Ubuntu, apt install libportaudio2 libasound2-plugins'

test: $(VENV)/.developing ## run all tests
	@$(BIN)/ostinato doctor --only kernels
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.developing ## style, format, types, which part imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.developing ## rewrite in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-compare: $(VENV)/.developing ## time the kernels of BASE=commit against this tree's, in some two minutes
	@$(BIN)/python -m ostinato_bench.revisions $(if $(BASE),$(BASE),HEAD)

music-demo: has-fluidsynth $(VENV)/.musical ## find onsets and beats in 12 minutes of music, as they happen and from both sides
	@mkdir -p demo
	@$(BIN)/ostinato bench music --json demo/music.json --plot demo/music.png

.PHONY: has-fluidsynth
has-fluidsynth: # said before anything is installed
	@command -v fluidsynth >/dev/null && ls /usr/share/sounds/sf2/*.sf2 /usr/share/soundfonts/*.sf2 2>/dev/null | grep -q . || { \
	  echo 'Music is rendered by fluidsynth with a SoundFont: on Debian and Ubuntu, apt install fluidsynth fluid-soundfont-gm'; exit 1; }

report: $(VENV)/.developing ## write the tables of README and docs anew from docs/measurements
	@$(BIN)/python -m ostinato_bench.report README.md docs/performance.md docs/published.md docs/music.md docs/recipes.md

measure-music: has-fluidsynth $(VENV)/.musical ## measure anew what docs/music.md says
	@$(BIN)/ostinato bench music --json docs/measurements/music.json --plot docs/music.png
	@$(BIN)/python -m ostinato_bench.report docs/music.md

measure-compare: $(VENV)/.developing ## measure anew what README and docs/performance.md say of `ostinato compare`
	@$(BIN)/ostinato compare --json docs/measurements/compare.json --plot docs/compare.png
	@$(MAKE) --no-print-directory report

clean: ## forget what was installed, built and measured
	rm -rf $(VENV) demo dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

# Installed again only when pyproject.toml changed.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Ostinato needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "Making $(VENV) failed: on Debian and Ubuntu, apt install python3-venv"; exit 1; }

$(VENV)/.usable: pyproject.toml | $(VENV)/bin/python
	@echo 'Installing Ostinato into $(VENV) (once)'
	@$(PIP) install --quiet --editable '.[plot]'
	@touch $@

$(VENV)/.musical: pyproject.toml | $(VENV)/bin/python
	@echo 'Installing Ostinato with what it takes to hear music into $(VENV) (once)'
	@$(PIP) install --quiet --editable '.[music]'
	@touch $(VENV)/.usable $@

$(VENV)/.developing: pyproject.toml | $(VENV)/bin/python
	@echo 'Installing Ostinato and its development tools into $(VENV) (once)'
	@$(PIP) install --quiet --editable '.[dev]'
	@touch $(VENV)/.usable $@
