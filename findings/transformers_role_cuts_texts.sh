#!/usr/bin/env bash
# A role in tokenizer_config.json changes token ids.
#
# Versions: transformers 5.24.0, tokenizers 0.23.3, Python 3.11.
# Seen: a Unigram tokenizer whose unknown token is an ordinary piece, ".", as that of the package
#   tokenlearn-static-model 0.1.1 is. "a b. b" is [1, 6, 2]: the piece "b." is one token. With {"unk_token": "."} in
#   tokenizer_config.json it is [1, 2, 0, 2]; with {"pad_token": "."} the same. With a pad_token that no piece has it
#   stays [1, 6, 2].
# Guessed: unk_token and pad_token name tokens that are there already; they say what to use, and change nothing.
# Why: naming a role makes the token special, and texts are cut at every special token before they are tokenized. A
#   bundle's tokenizer_config.json therefore names a role only where the token is an added special one already.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet transformers==5.24.0 tokenizers==0.23.3
cd "$folder"
HF_HUB_OFFLINE=1 venv/bin/python - <<'PY' 2> /dev/null
import json
import sys
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

pieces = [(".", -1.0), ("▁a", -2.0), ("▁b", -2.5), ("▁", -3.0), ("a", -4.0), ("b.", -1.5), ("▁b.", -1.6)]
tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
expected = {"none": [1, 6, 2], "unk_token": [1, 2, 0, 2], "pad_token": [1, 2, 0, 2], "new pad_token": [1, 6, 2]}
roles = {"none": {}, "unk_token": {"unk_token": "."}, "pad_token": {"pad_token": "."}, "new pad_token": {"pad_token": "[PAD]"}}
found = {}
for name, config in roles.items():
    folder = Path(name.replace(" ", "_"))
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", **config}))
    fast = PreTrainedTokenizerFast.from_pretrained(str(folder))
    found[name] = fast("a b. b", add_special_tokens=False)["input_ids"]
    print(f"{name}: {found[name]}")
sys.exit(found != expected)
PY
