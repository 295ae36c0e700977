"""What transformers reads from the files beside a tokenizer.json: added and special tokens, their ids, and the ids of some texts.

Writes directories.json beside itself. Run with Python, transformers 5.24.0 and tokenizers 0.23.3: python make_directories.py
"""
import json
import tempfile
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

vocab = {token: i for i, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
for token in ('he', 'll', 'hell', 'hello', '<unk>', '<s>', '</s>'):
    vocab[token] = len(vocab)
tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[('h', 'e'), ('l', 'l'), ('he', 'll'), ('hell', 'o')], unk_token='<unk>'))
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
tokenizer.add_special_tokens(['<s>'])
base = json.loads(tokenizer.to_str())
first = len(vocab)

texts = ['hello <s>hello</s>', 'a <new> b<other> <pad>', ' <unk> hello ', '<image><x> <y>', '  </s>  <s>  hello', 'hello<new>hello', '']


def token(content, **flags):
    return {**dict(content=content, lstrip=False, rstrip=False, normalized=False, single_word=False, special=True), **flags}


cases = {
    'nothing beside it': {},
    'tokens that tokenizer_config.json lists': {'tokenizer_config.json': {'added_tokens_decoder': {
        str(first): token('<new>', special=False), str(first + 1): token('<other>', lstrip=True), str(vocab['<s>']): token('<s>')}}},
    'flags that tokenizer_config.json changes': {'tokenizer_config.json': {'added_tokens_decoder': {str(vocab['<s>']): token('<s>', lstrip=True, rstrip=True)}}},
    'a token of the vocabulary that becomes an added one': {'tokenizer_config.json': {'added_tokens_decoder': {str(vocab['</s>']): token('</s>', lstrip=True)}}},
    'bos and eos of tokenizer_config.json': {'tokenizer_config.json': {'bos_token': '<s>', 'eos_token': token('</s>') | {'__type': 'AddedToken'}}},
    'bos and eos of special_tokens_map.json': {'special_tokens_map.json': {'bos_token': '<s>', 'eos_token': token('</s>', special=True)}},
    'a map that says something else': {'tokenizer_config.json': {'eos_token': '<s>'}, 'special_tokens_map.json': {'eos_token': '</s>'}},
    'a map beside listed tokens': {'tokenizer_config.json': {'eos_token': '<s>', 'added_tokens_decoder': {}}, 'special_tokens_map.json': {'eos_token': '</s>', 'pad_token': '<pad>'}},
    'tokens of added_tokens.json': {'tokenizer_config.json': {'pad_token': '<pad>'}, 'added_tokens.json': {'<new>': first, '<pad>': first + 1}},
    'special tokens that the vocabulary lacks': {'tokenizer_config.json': {'pad_token': '<pad>', 'unk_token': '<unk>', 'additional_special_tokens': ['<new>', '<other>']}},
    'more special tokens in the map': {'special_tokens_map.json': {'extra_special_tokens': ['<new>', '<other>']}},
    'special tokens by names of their own': {'tokenizer_config.json': {'image_token': '<image>', 'extra_special_tokens': {'x_token': '<x>', 'y_token': '<y>'}}},
    'what is to be added around a text': {'tokenizer_config.json': {'bos_token': '<s>', 'eos_token': '</s>', 'add_bos_token': True, 'add_eos_token': True}},
    'truncation and padding of tokenizer.json': {'tokenizer.json': {
        **base, 'truncation': {'direction': 'Right', 'max_length': 3, 'strategy': 'LongestFirst', 'stride': 0},
        'padding': {'strategy': {'Fixed': 9}, 'direction': 'Right', 'pad_to_multiple_of': None, 'pad_id': 0, 'pad_type_id': 0, 'pad_token': '<unk>'}}},
    'null for a token': {'tokenizer_config.json': {'bos_token': None, 'eos_token': '</s>', 'unk_token': None}},
}
results = {}
for name, files in cases.items():
    with tempfile.TemporaryDirectory() as directory:
        for file, content in {'tokenizer.json': base, **files}.items():
            (Path(directory) / file).write_text(json.dumps(content))
        loaded = PreTrainedTokenizerFast.from_pretrained(directory)
        ids = [loaded(text)['input_ids'] for text in texts]
        results[name] = {
            'files': files, 'bos': loaded.bos_token_id, 'eos': loaded.eos_token_id, 'ids': ids,
            'texts': [loaded.decode(row, skip_special_tokens=True, clean_up_tokenization_spaces=False) for row in ids],
        }
target = Path(__file__).resolve().parent / 'directories.json'
target.write_text(json.dumps({'tokenizer': base, 'texts': texts, 'cases': results}, ensure_ascii=True, separators=(',', ':')) + '\n')
