import sys

from transformers import PreTrainedTokenizerFast

tokenizer = PreTrainedTokenizerFast(tokenizer_file="model/tokenizer.json", unk_token="[UNK]")
print("tokens", len(tokenizer(" ".join(sys.argv[1:]))["input_ids"]))
