#!/usr/bin/env bash
# One tokenizer.json cuts words otherwise in another version of tokenizers: which characters are letters changes.
#
# Versions: tokenizers 0.20.1 and 0.23.3, Linux, wheels of PyPI.
# Seen:    \p{L} matches 131,756 code points in 0.20.1 and 141,028 in 0.23.3, \p{N} 1,791 and 1,911. Byte-level BPE's
#          pre-tokenizer makes two words of "a" and U+1E053 (Cyrillic, Unicode 15) in the old one, one in the new one.
# Guessed: that a tokenizer.json, which holds its regular expressions, its vocabulary and its merges, says the ids.
# Matters: the classes come from the library of regular expressions that the wheel was built with. A graph that asked
#          them at export gives the ids of that version. To compare ids, both sides need the same one.
set -euo pipefail
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cat > "$scratch/count.py" <<'PY'
from tokenizers import Regex, __version__, pre_tokenizers

counts = []
for name in "LN":
    split = pre_tokenizers.Split(Regex(rf"\p{{{name}}}"), "isolated")
    found = 0
    for start in range(0, 0x110000, 256):
        if not 0xD800 <= start < 0xE000:
            text = "".join("!" + chr(c) for c in range(start, start + 256))
            found += sum(len(part) == 1 and part != "!" for part, _ in split.pre_tokenize_str(text))
    counts.append(found)
words = len(pre_tokenizers.ByteLevel(add_prefix_space=False).pre_tokenize_str("a\U0001e053"))
print(__version__, "letters", counts[0], "numbers", counts[1], "words", words)
PY
for release in 0.20.1 0.23.3; do
  python3 -m venv "$scratch/$release"
  "$scratch/$release/bin/pip" install --quiet "tokenizers==$release" || exit 2
  "$scratch/$release/bin/python" "$scratch/count.py"
done | tee "$scratch/seen"
diff "$scratch/seen" - <<'SEEN' || { echo "changed: it is not as the head of this file says" && exit 1; }
0.20.1 letters 131756 numbers 1791 words 2
0.23.3 letters 141028 numbers 1911 words 1
SEEN
