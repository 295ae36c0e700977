"""What transformers makes of conversations: text, ids and which tokens are scored. Writes chat.json beside itself.

The templates have the form of those of well-known families, in a few lines. Beside each stands the same template with `{% generation %}` around
what the assistant generates: its words and the token that ends its turn, from where the prompt for an answer ends. Both must render alike; the
mask is what transformers' return_assistant_tokens_mask says of the marked one. Made with transformers 5.24.0, after make_tokenizers.py:

    HF_HUB_OFFLINE=1 python make_chat.py
"""
import json
import os

from transformers import PreTrainedTokenizerFast

here = os.path.dirname(os.path.abspath(__file__))
G, E = '{% generation %}', '{% endgeneration %}'

chatml = """{% for message in messages %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""
chatml_marked = """{% for message in messages %}{{'<|im_start|>' + message['role'] + '
' }}{% if message['role'] == 'assistant' %}""" + G + """{{ message['content'] + '<|im_end|>' }}""" + E + """{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '
' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""

llama2 = """{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}<A>{{ ' '  + content.strip() + ' ' + eos_token }}</A>{% endif %}{% endfor %}"""

llama3 = """{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""
llama3_marked = """{% for message in messages %}{% if loop.index0 == 0 %}{{ bos_token }}{% endif %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' }}{% if message['role'] == 'assistant' %}""" + G + """{{ message['content'] | trim + '<|eot_id|>' }}""" + E + """{% else %}{{ message['content'] | trim + '<|eot_id|>' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""

# The system prompt goes before the last words of the user, so that it moves as a conversation grows.
mistral = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
            {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        <A>{{- "[TOOL_CALLS] [" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}</A>
    {%- elif message["role"] == "assistant" %}
        <A>{{- " " + message["content"] + eos_token}}</A>
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {{- '[TOOL_RESULTS] {"content": ' + message.content|string + ', "call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}
"""

gemma = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"""
gemma_marked = gemma.replace("""{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}""", """{{ '<start_of_turn>' + role + '\n' }}{% if role == 'model' %}""" + G + """{{ message['content'] | trim + '<end_of_turn>' }}""" + E + """{% else %}{{ message['content'] | trim + '<end_of_turn>' }}{% endif %}{{ '\n' }}""")

# The end of sequence stands at the very end, behind the end of the turn and a line end.
phi3 = """{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"""
phi3_marked = phi3.replace("""{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}""", """{{'<|assistant|>\n' }}""" + G + """{{ message['content'] + '<|end|>' }}""" + E + """{{ '\n'}}""")

qwen_tools = """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\\n\\n' }}
    {%- DEFAULT %}
    {%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
    {%- DEFAULT2 %}
    {%- endif %}
{%- endif %}
"""
qwen_calls = """            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\\n</tool_call>' }}
            {%- endfor %}
"""
qwen_responses = """    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\\n<tool_response>\\n' }}
        {{- message.content }}
        {{- '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
"""
default = "\\n    {%- else %}\\n        {{- 'You are Qwen.\\\\n\\\\n' }}".encode().decode('unicode-escape')
default2 = "\\n    {%- else %}\\n        {{- '<|im_start|>system\\\\nYou are Qwen.<|im_end|>\\\\n' }}".encode().decode('unicode-escape')
qwen25 = (qwen_tools.replace('\n    {%- DEFAULT %}', default).replace('\n    {%- DEFAULT2 %}', default2) + """{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content if message.content else '' %}
        {{- '<|im_start|>' + message.role + '\\n' }}<A>
        {{- content }}
        {%- if message.tool_calls %}
""" + qwen_calls + """        {%- endif %}
        {{- '<|im_end|>' }}</A>{{- '\\n' }}
""" + qwen_responses + """{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
""")

# Thinking before the last question is dropped; behind it, it is always written.
qwen3 = (qwen_tools.replace('\n    {%- DEFAULT %}', '').replace('\n    {%- DEFAULT2 %}', '') + """{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}
        {%- set content = message.content %}
    {%- else %}
        {%- set content = '' %}
    {%- endif %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in content %}
                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
            {%- endif %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' }}<T><A>
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
            {%- else %}
                {{- content }}
            {%- endif %}
        {%- else %}
            {{- content }}
        {%- endif %}
        {%- if message.tool_calls %}
""" + qwen_calls + """        {%- endif %}
        {{- '<|im_end|>' }}</A>{{- '\\n' }}
""" + qwen_responses + """{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
""")

# The prompt opens the thinking, which is dropped from every answer of a conversation.
deepseek = """{% if not add_generation_prompt is defined %}{% set add_generation_prompt = false %}{% endif %}{% set ns = namespace(is_first=false, system_prompt='') %}{%- for message in messages %}{%- if message['role'] == 'system' %}{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}{%- if message['role'] == 'user' %}{{'<｜User｜>' + message['content']}}{%- endif %}{%- if message['role'] == 'assistant' and message['content'] is not none %}{% set content = message['content'] %}{% if '</think>' in content %}{% set content = content.split('</think>')[-1] %}{% endif %}{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor %}{% if add_generation_prompt %}{{'<｜Assistant｜><think>\\n'}}{% endif %}"""

# The names of the roles are plain text.
zephyr = """{% for message in messages %}
{% if message['role'] == 'user' %}
{{ '<|user|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'system' %}
{{ '<|system|>
' + message['content'] + eos_token }}
{% elif message['role'] == 'assistant' %}
{{ '<|assistant|>
'  + message['content'] + eos_token }}
{% endif %}
{% if loop.last and add_generation_prompt %}
{{ '<|assistant|>' }}
{% endif %}
{% endfor %}"""
zephyr_marked = zephyr.replace("""{{ '<|assistant|>
'  + message['content'] + eos_token }}""", """{{ '<|assistant|>
' }}""" + '{% generation %}{{ message[\'content\'] + eos_token }}{% endgeneration +%}')

smollm2 = """{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""
smollm2_marked = smollm2.replace("""{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}""", """{{'<|im_start|>' + message['role'] + '
' }}{% if message['role'] == 'assistant' %}""" + G + """{{ message['content'] + '<|im_end|>' }}""" + E + """{% else %}{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '
'}}{% endfor %}""")

# It marks the words itself, with white space inside and outside of the marks.
marked = """{{- bos_token }}
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n' }}
        {%- generation %}
        {{- '\n' + (message.content or '') }}
        {%- for call in message.tool_calls or [] %}
            {{- '<word>' + call.function | tojson }}
        {%- endfor %}
  <|eot_id|>
        {% endgeneration %}

    {%- else %}
        {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\n\n' + message.content + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n' }}{% endif %}"""

# No token ends a turn.
endless = """{% for message in messages %}{{ message['role'] + ': ' + message['content'] + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}"""


def both(template):
    """The template without marks, and with them. With thinking switched off, the prompt holds the empty thoughts already."""
    off = "{%- if enable_thinking is defined and enable_thinking is false and loop.last %}{{- '<think>\\n\\n</think>\\n\\n' }}" + G + "{{- content.lstrip('\\n') + '<|im_end|>' }}" + E + '{%- else %}' + G
    with_marks = template.replace('<T><A>', off).replace('<A>', G)
    if '<T>' in template:
        with_marks = with_marks.replace('</A>', E + '{%- endif %}')
    return template.replace('<T>', '').replace('<A>', '').replace('</A>', ''), with_marks.replace('</A>', E)


families = {
    'chatml': ('qwen', chatml, chatml_marked, '<|endoftext|>', '<|im_end|>'),
    'llama2': ('prepend', *both(llama2), '<s>', '</s>'),
    'llama3': ('llama3', llama3, llama3_marked, '<|begin_of_text|>', '<|eot_id|>'),
    'mistral': ('metaspace', *both(mistral), '<s>', '</s>'),
    'gemma': ('prepend', gemma, gemma_marked, '<s>', '</s>'),
    'phi3': ('prepend', phi3, phi3_marked, '<s>', '</s>'),
    'qwen2.5': ('qwen', *both(qwen25), None, '<|im_end|>'),
    'qwen3': ('qwen', *both(qwen3), None, '<|im_end|>'),
    'deepseek-r1': ('prepend', deepseek, None, '<s>', '<｜end▁of▁sentence｜>'),
    'zephyr': ('metaspace', zephyr, zephyr_marked, '<s>', '</s>'),
    'smollm2': ('gpt2', smollm2, smollm2_marked, '<|im_start|>', '<|im_end|>'),
    'marked': ('llama3', marked, marked, '<|begin_of_text|>', '<|eot_id|>'),
    'marked-unigram': ('unigram', chatml_marked.replace('<|im_start|>', '<s>').replace('<|im_end|>', '</s>'), chatml_marked.replace('<|im_start|>', '<s>').replace('<|im_end|>', '</s>'), '<s>', '</s>'),
    'endless': ('qwen', endless, None, None, '<|im_end|>'),
}


def turns(*contents, first='user'):
    roles = ['user', 'assistant'] if first == 'user' else ['assistant', 'user']
    return [{'role': roles[i % 2], 'content': content} for i, content in enumerate(contents)]


weather = {'type': 'function', 'function': {'name': 'weather', 'description': 'The weather of a city, in °C', 'parameters': {
    'type': 'object', 'properties': {'city': {'type': 'string'}, 'days': {'type': 'integer', 'default': 1.0}}, 'required': ['city']}}}
call = {'id': 'call00001', 'type': 'function', 'function': {'name': 'weather', 'arguments': {'city': 'Paris', 'days': 2}}}

rows = {
    'system': {'messages': [{'role': 'system', 'content': 'You think.'}, *turns('hello', 'Hello, world!')]},
    'plain': {'messages': turns('what is it', 'the name')},
    'turns': {'messages': [{'role': 'system', 'content': 'answer'}, *turns('one', 'two', 'see', 'more', 'time', 'him')]},
    'unicode': {'messages': turns('東京 🙂?', 'naïve 👍🏽 数学 e\u0301 \u00e9 こんにちは', 'İ ß', '한 ﬁ')},
    'white space': {'messages': turns('  a\n\n b \n', '\n  def f(x):\n\treturn x\n\n', 'c', ' d ')},
    'empty': {'messages': turns('', 'a', 'b', '')},
    'special': {'messages': turns('a<|im_end|>b', 'x<|im_end|>y</s>z<|eot_id|> <|end|>\n</s>', 'q', 'a<end_of_turn>[/INST]<tool_call>')},
    'headers': {'messages': turns('u', '<|im_start|>assistant\n<|im_end|>\n', '<|user|>\n', '<|assistant|>\n</s>\n')},
    'tools': {'messages': [*turns('weather in Paris?'), {'role': 'assistant', 'content': '', 'tool_calls': [call]},
                           {'role': 'tool', 'name': 'weather', 'tool_call_id': 'call00001', 'content': '{"t": 21}'}, {'role': 'assistant', 'content': 'it is 21'}], 'tools': [weather]},
    'calls': {'messages': [*turns('weather?'), {'role': 'assistant', 'content': None, 'tool_calls': [call, {**call, 'id': 'call00002'}]}], 'tools': json.dumps([weather])},
    'thinking': {'messages': turns('2 and 3?', '<think>\nadd them\n</think>\n\nthe number')},
    'thinking twice': {'messages': turns('2?', '<think>\nfirst\n</think>\n\ntwo', '3?', '<think>\nmany\n\n</think>\n\nsome')},
    'reasoning': {'messages': [*turns('why?'), {'role': 'assistant', 'reasoning_content': 'as it was', 'content': 'so'}]},
    'assistant first': {'messages': turns('How do you do', 'her', 'like her', first='assistant')},
    'trailing user': {'messages': turns('do', 'did', 'and this?')},
    'variables': {'messages': turns('will it', 'it will'), 'chat_template_kwargs': {'enable_thinking': False}, 'documents': [{'title': 'a', 'text': 'b'}]},
    'parts': {'messages': [{'role': 'user', 'content': [{'type': 'text', 'text': 'it\'s'}]}, {'role': 'assistant', 'content': [{'type': 'text', 'text': 'which'}]}]},
}


def outcome(tokenizer, plain, with_marks, row):
    tools = json.loads(row['tools']) if isinstance(row.get('tools'), str) else row.get('tools')
    given = {'tools': tools, 'documents': row.get('documents'), **row.get('chat_template_kwargs', {})}
    try:
        text = tokenizer.apply_chat_template(row['messages'], chat_template=plain, tokenize=False, **given)
    except Exception as error:  # noqa: BLE001
        return {'error': f'{type(error).__name__}: {error}'[:160]}
    ids = tokenizer(text, add_special_tokens=False)['input_ids']
    result = {'text': text, 'ids': ids}
    if with_marks is not None:
        assert tokenizer.apply_chat_template(row['messages'], chat_template=with_marks, tokenize=False, **given) == text, (plain, row)
        out = tokenizer.apply_chat_template(row['messages'], chat_template=with_marks, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, **given)
        assert out['input_ids'] == ids
        result['mask'] = ''.join(map(str, out['assistant_masks']))
    return result


def main():
    result = {}
    for name, (file, plain, with_marks, bos, eos) in families.items():
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(here, 'tokenizers', f'{file}.json'), bos_token=bos, eos_token=eos)
        result[name] = {'tokenizer': file, 'bos': bos, 'eos': eos, 'template': plain,
                        'outcomes': {row: outcome(tokenizer, plain, with_marks, value) for row, value in rows.items()}}
    with open(os.path.join(here, 'chat.json'), 'w', encoding='utf8') as out:
        out.write('{"rows": {\n' + ',\n'.join(f'{json.dumps(name)}: {json.dumps(row, ensure_ascii=False)}' for name, row in rows.items()) + '\n},\n"families": {\n'
                  + ',\n'.join(f'{json.dumps(name)}: ' + json.dumps({k: v for k, v in family.items() if k != 'outcomes'}, ensure_ascii=False)[:-1] + ', "outcomes": {\n'
                               + ',\n'.join(f'{json.dumps(row)}: {json.dumps(value, ensure_ascii=False, separators=(",", ":"))}' for row, value in family['outcomes'].items()) + '}}'
                               for name, family in result.items()) + '}}\n')


if __name__ == '__main__':
    main()
