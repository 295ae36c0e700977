"""What transformers renders of small templates: one feature of Jinja each. Writes jinja.json beside itself.

Made with transformers 5.24.0 and jinja2 3.1.6:

    HF_HUB_OFFLINE=1 python make_jinja.py
"""
import json
import os

from transformers.utils.chat_template_utils import render_jinja_template

variables = {
    'text': 'Hello wörld 🙂!', 'spaced': ' \t two  words \n', 'html': '<a href="x">Tom & \'Jerry\'</a>', 'empty': '', 'quoted': 'it\'s "so"',
    'number': 7, 'negative': -7, 'real': 2.5, 'whole': 3.0, 'tiny': 1e-7, 'huge': 1e22, 'big': 2 ** 70, 'yes': True, 'no': False, 'nothing': None,
    'letters': ['b', 'a', 'C', 'a'], 'numbers': [3, 1, 2], 'nested': [[1, 2], [3]], 'unicode': 'ÄÖÜ ß ﬁ Σας İ',
    'record': {'name': 'Ada', 'age': 36, 'tags': ['x', 'y'], 'none': None, 'on': True, 'items': 'shadow', 'pi': 3.14159},
    'people': [{'name': 'Bob', 'age': 20, 'city': {'name': 'Rome'}}, {'name': 'ada', 'age': 30, 'city': {'name': 'Oslo'}}, {'name': 'Cy', 'age': 20}],
    'schema': {'type': 'object', 'properties': {'q': {'type': 'string', 'description': 'Größe "x" <b>\n\x7f\u2028'}}, 'required': []},
}
messages = [{'role': 'user', 'content': 'Hi'}, {'role': 'assistant', 'content': 'Hello'}]

expressions = [
    'text', 'text[0]', 'text[-2]', 'text[:5]', 'text[::-1]', 'text[1:9:2]', 'text[-4:-1]', 'text[5:2]', 'text[::0]', 'text[-1]', 'text[99]',
    'record.none', "record['none']", "record.get('none', 5)", "[none]|first", "[none, 1]|last", "{'a': none}.a is none", "{'a': none}['a']", "[none][0]", "[none]|map('string')|list", "dict(a=none).a", "namespace(a=none).a",
    # printing
    'yes', 'nothing', 'no', 'number', 'real', 'whole', 'tiny', 'huge', 'big', 'letters', 'record', 'nested', 'missing', "('a', 1)", "('a',)", '()', '{}', '[]',
    "[text, quoted, none, 1.0, 'a\\nb\\\\', \"it's\", '\\x7f\\u200b', '\\t']", "{'a': {1: none}}", 'true', 'True', 'None', 'range(3)', 'range(2, 9, 3)', 'record.keys()', 'record.values()|list',
    "record['items']", 'record.name', "record['missing']", 'record.missing', 'record.missing.deeper', 'nothing.x', 'nothing.x.y', "number.x", "missing['x']", 'missing.x',
    '1e5', '1_000', '0x1F', '0b11', '1.5e-3', '.5', '1.', '007', "'\\u00e9\\x41\\101\\q\\'\\\"'", "'a' 'b'", '"x\ny"', "1e400", '-1e400',
    # arithmetic
    '7 // 2', '-7 // 2', '7 % 3', '-7 % 3', '7 % -3', '7 / 2', '8 / 2', '2 ** 10', '2 ** -1', '2 ** 3 ** 2', '-2 ** 2', '1 + 2.0', '7.5 // 2', '-7.5 % 2', '1 / 0', '1 % 0', 'yes + 1',
    '-yes', "'a' * 3", "3 * 'ab'", "'a' * -1", "[1] * 2 + [3]", "(1,) + (2,)", "'a' + 1", "1 + 'a'", 'nothing + 1', 'missing + 1', "missing + 'a'", "'a' ~ 1 ~ none ~ missing ~ 2.0", '1 + 2 ~ 3',
    "'x' ~ 1 + 2", '2 * 3 + 4', '2 + 3 * 4', '(2 + 3) * 4', 'big + 1', 'big * big', 'big / 3', '+number', '- -number', '10 - 2 - 3', "'%s is %d' % ('a', 3)", "'%05.1f|%-4s|%4s|%x|%%' % (2.25, 'a', 'b', 255)",
    "'%s' % record.name", "'%(name)s' % record", "'%d' % 'a'", "'%s %s' % 'a'", "'a' % 1", "'%r' % 'a'", "'%+d' % 5", "'%03d' % -5", "'%.2f' % 2.675", "'%.0f' % 2.5", "'%.0f' % 3.5",
    # comparison and logic
    '1 == 1.0', '1 == true', "'1' == 1", '1 < 2 < 3', '3 > 2 > 2', '1 < 2 == true', 'not 1 == 2', 'not yes and no', 'yes or missing.x', 'no and missing.x', "'a' or 'b'", "'' or 'b'", '0 or none', "'a' and 'b'",
    "1 < 'a'", 'none < 1', "'a' < 'b'", "'Z' < 'a'", "'🙂' > '\\ufb01'", '[1, 2] < [1, 3]', '(1, 2) < (1,)', 'none == missing', 'missing == missing', 'missing != none', "'a' in 'cat'", "'' in 'cat'", '1 in [1.0]',
    "'name' in record", "'x' not in letters", 'not 1 in [1]', "1 in 'a'", "'a' in missing", "'a' in none", "1 in 5", '1 in range(3)', "'a' in ('a', 'b')", "'yes' if yes", "'yes' if no", "'yes' if no else 'other'",
    "1 if 0 else 2 if 0 else 3", '[1, 2] == [1.0, 2.0]', "{'a': 1} == {'a': 1}", "{'a': 1} == [1]", 'yes is true', '1 is true', 'none is none', 'missing is none', 'missing is not defined', 'text is defined',
    # tests
    'number is odd', 'number is even', 'number is divisibleby 7', 'number is divisibleby(2)', 'real is number', 'yes is number', 'yes is integer', 'yes is boolean', 'real is float', 'number is float', "text is string",
    'record is mapping', 'letters is sequence', 'text is sequence', 'record is sequence', 'record is iterable', 'number is iterable', 'missing is iterable', 'missing is sequence', 'range is callable', "'a' is in letters",
    "'a' is in 'abc'", 'number is eq 7', 'number is equalto(7)', "number is gt 3", 'number is lessthan 3', "'ab' is lower", "'AB' is upper", "'A1' is upper", "'1' is upper", 'nothing is sameas none', 'true is sameas true',
    "text is unknown_test", 'number is not divisibleby 2', "(text|e) is escaped", 'record is none', 'letters is mapping', 'record.items is defined', 'none is not none or true', '1 is sameas 1', 'number is ne 8', '3 is ge 3',
    # strings
    'text.upper()', 'unicode.upper()', 'unicode.lower()', 'unicode.title()', 'unicode.capitalize()', 'unicode.swapcase()', "'they\\'re bill\\'s'.title()", 'spaced.strip()', 'spaced.lstrip()', 'spaced.rstrip()', "'xxaxx'.strip('x')",
    "'abcab'.strip('ab')", "'  a '.strip(' ')", "'\\ufeffa\\x1c\\x85'.strip()", "'abc'.strip('')", "'abc'.strip(none)", "'a'.strip(1)", 'spaced.split()', "'a b  c'.split(' ')", "'a,b,c'.split(',', 1)", "'a,b,c'.rsplit(',', 1)",
    "' a  b c '.split(none, 1)", "' a  b c '.rsplit(none, 1)", "'a b c'.split(maxsplit=1)", "'a'.split('')", "''.split()", "''.split(',')", "'a\\nb\\r\\nc\\x0bd\\n'.splitlines()", "'a\\nb'.splitlines(true)", "'-'.join(letters)",
    "'-'.join([1, 2])", "'-'.join('abc')", "'-'.join(record)", "'aXbXc'.replace('X', '-')", "'aaa'.replace('a', 'b', 2)", "'ab'.replace('', '-')", "'aaa'.replace('a', 'b', -1)",
    "text.startswith('He')", "text.startswith(('x', 'H'))", "text.endswith('!')", "text.startswith('l', 2)", "'abc'.endswith('b', 0, 2)", "text.startswith(1)", "text.find('wör')", "text.find('🙂')", "text.find('!')", "text.find('zz')", "'abcabc'.rfind('b')",
    "'abcabc'.find('b', 2)", "'abc'.find('b', 5)", "'abcabc'.index('c')", "'abc'.index('z')", "'abcabc'.count('bc')", "'aaa'.count('aa')", "'abc'.count('')", "'🙂🙂'.count('')", "'abc'.count('b', 2)", "'abc'.center(8, '*')", "'abc'.center(7)", "'ab'.center(5, '*')", "'abc'.ljust(5, '.')",
    "'abc'.rjust(5)", "'-5'.zfill(4)", "'a=b=c'.partition('=')", "'a=b=c'.rpartition('=')", "'abc'.partition('=')", "'abc'.removeprefix('a')", "'abc'.removesuffix('c')", "'abc'.isalpha()", "'12'.isdigit()", "'²'.isdigit()", "'½'.isnumeric()", "'a1'.isalnum()",
    "' \\n'.isspace()", "''.isspace()", "'Ab'.isupper()", "'ab1'.islower()", "'{} and {}'.format(1, 'b')", "'{0}{1}{0}'.format('a', 'b')", "'{x:>5}|{y:<4}|{z:^5}'.format(x='a', y=1, z='m')", "'{:.2f} {:,} {:05d}'.format(3.14159, 1234567, 42)", "'{!r}'.format('a')", "'{{}}'.format()",
    "'{}'.format()", "text.encode('utf8')", 'text.unknown()', 'text()', 'missing()', "'abc'['upper']()", "'tEsT'.casefold()", "'a\\tb'.expandtabs(4)",
    # lists and dicts
    'letters[0]', 'letters[-1]', 'letters[9]', 'letters[9].x', 'letters[1:]', 'letters[::-1]', 'letters[:-1]', 'nested[0][1]', 'letters|length', 'letters.index("a")', 'letters.count("a")', 'letters.append("x")', 'letters.append', 'record.pop("name")', "record.get('name')", "record.get('zz')", "record.get('zz', 5)",
    'record.items()|list', 'record.keys()|list', 'record|list', 'record|length', "record['tags'][1]", 'record.tags.1', "letters['x']", 'letters.x', 'record[none]', "dict(a=1, b='x')", "dict(record, extra=1)['extra']", "dict([('a', 1)])", 'dict(1)', "record['na' ~ 'me']", 'people[0].city.name', 'people[2].city.name',
    '(1, 2)[0]', "(1, 2, 3)[1:]", 'range(10)[3]', 'range(200000)|length', 'range(3, 0, -1)|list', "{'a': 1, 'b': 2}|length", "{1: 'a'}[1]",
    # filters
    "missing|default('d')", "empty|default('d')", "empty|default('d', true)", "none|d('x')", "nothing|default('d', boolean=true)", 'letters|first', 'letters|last', '[]|first', '[]|last', 'text|first', 'text|last', "''|first", 'record|first', 'text|length', 'number|length', 'none|length', "letters|join(', ')", "numbers|join", "people|join(', ', attribute='name')", "'abc'|join('-')",
    'letters|sort', 'letters|sort(reverse=true)', 'letters|sort(case_sensitive=true)', "people|sort(attribute='age')|map(attribute='name')|list", "people|sort(attribute='age,name')|map(attribute='name')|join", 'numbers|sum', "people|sum(attribute='age')", "[[1], [2]]|sum(start=[])", 'numbers|min', 'numbers|max', 'letters|max', "people|max(attribute='age')", '[]|min', 'letters|unique|list', 'letters|unique(true)|list',
    'numbers|reverse|list', 'text|reverse', 'letters|list', "'abc'|list", 'record|items|list', 'missing|items|list', 'record.tags|map("upper")|list', "people|map(attribute='city.name')|list", "people|map(attribute='city.name', default='?')|list", "numbers|map('string')|join('+')", "letters|map('replace', 'a', 'z')|list", 'numbers|map("unknown_filter")|list', "numbers|select('odd')|list", "numbers|reject('odd')|list",
    "numbers|select('gt', 1)|list", "[0, 1, none, '']|select|list", "people|selectattr('age', 'equalto', 20)|map(attribute='name')|list", "people|rejectattr('city')|map(attribute='name')|list", "people|selectattr('city.name', 'defined')|list|length", "people|selectattr('name', 'in', ['Cy'])|list|length", "people|groupby('age')|map('first')|list", "people|groupby('age')|map(attribute='list')|map('length')|list",
    "numbers|batch(2)|list", "numbers|batch(2, 0)|list", "numbers|slice(2)|list", "numbers|slice(2, 'x')|list", "{'b': 2, 'a': 1}|dictsort", "{'b': 1, 'a': 2}|dictsort(by='value')", "{'b': 1, 'a': 2}|dictsort(false, 'key', true)", 'html|e', 'html|escape', '(html|e)|e', "(html|e) ~ '<'", "(html|e) + '<'", "'<' + (html|e)", 'html|safe', 'number|e', 'none|e', 'missing|e',
    '2.5|round', '3.5|round', '2.675|round(2)', '42.55|round(1, "ceil")', '42.55|round(1, method="floor")', '7|round', '1234.5|round(-2)', "'a'|round", '0.5|round|int', '-2.5|round', '1.005|round(2)', '-7|abs', "'3'|int", "'3.7'|int", "'x'|int", "'x'|int(5)", '3.9|int', '-3.9|int', "'0x1f'|int(0, 16)", "' 12 '|int", 'none|int', "'2.5'|float", "'x'|float", "'x'|float(1.5)", '3|float', "'1e3'|float", 'true|int', "'inf'|float",
    'text|upper', 'number|upper', 'text|title', "'foo-bar (baz) o\\'neil'|title", 'text|capitalize', 'unicode|lower', "'  a '|trim", "'xax'|trim('x')", 'none|trim', "'aXbX'|replace('X', '-')", "'aXbX'|replace('X', '-', 1)", "123|replace(2, 'b')", "'a\\nb\\n\\nc'|indent", "'a\\nb'|indent(2, true)", "'a\\n\\nb'|indent(2, blank=true)", "'a\\nb'|indent('> ')", "'a'|center(5)", "'foo bar baz qux'|truncate(9)", "'foo bar baz qux'|truncate(9, true)", "'foo bar baz qux'|truncate(11)",
    "'foo bar baz qux'|truncate(11, false, '..', 0)", "'a b, c'|wordcount", "'a b/c?ü'|urlencode", "'%s-%s'|format('a', 1)", "'%(x)s'|format(x=1)", "record|attr('name')", "(text|attr('upper'))()", 'text|string', '7|string', '[1, 2]|string', "'abc'|count", 'text|unknown_filter', 'text|filesizeformat', 'text|wordwrap(5)', 'text|pprint', 'html|striptags', 'record|xmlattr',
    # tojson
    'record|tojson', 'schema|tojson', 'schema|tojson(indent=2)', 'schema|tojson(indent=4)', 'schema|tojson(ensure_ascii=true)', "schema|tojson(separators=(',', ':'))", 'schema|tojson(sort_keys=true)', "[]|tojson(indent=2)", "{}|tojson(indent=2)", 'html|tojson', '[1, 1.0, true, none, "é🙂", big]|tojson', "('a', 1)|tojson", 'missing|tojson', '{1: 2}|tojson', 'schema|tojson(true)', "schema|tojson(indent='\\t')",
    "nested|tojson(indent=1, separators=(', ', ' : '))", 'tiny|tojson', 'huge|tojson', 'whole|tojson', "'\\b\\f\\r\\x01/'|tojson", 'letters|map("upper")|tojson', 'nested|tojson(indent=0)',
    # functions
    "strftime_now('%d %b %Y')|length", "namespace(a=1).a", "namespace({'a': 2}).a", "namespace(a=1)['a']", "namespace().x is defined", 'raise_exception("no!")', 'range(1, 2, 0)', "cycler('a', 'b').next()", "joiner(',')()", 'range(2.5)', "messages[0]['content']", 'messages|length', 'add_generation_prompt', 'tools', 'documents', 'tools is none', 'undefined_thing', 'loop', 'caller', 'messages[-1].role', "messages|map(attribute='role')|list",
]

statements = [
    # whitespace
    'a\n{% if yes %}\nb\n{% endif %}\nc\n', 'a\n  {% if yes %}\n  b\n  {% endif %}\n  c', 'a \n {%- if yes -%} \n b \n {%- endif -%} \n c', 'x {{- 1 -}} y', 'x  {%+ if yes %} y {% endif +%}\nz', '  {% if yes +%}\n b{% endif %}', 'a {# c #}\nb', 'a\n  {# c #}\n  b', 'a {#- c -#} b', '{{ 1 }}\n{{ 2 }}\n',
    'a\r\nb\r{% if yes %}\r\nc{% endif %}', '{% raw %}{{ a }}\n{% endraw %}\nb', '  {%- raw -%}  {{ x }}  {%- endraw -%}  c', '{{ "%}" }}{{ "}}" }}', "{{ {'a': {'b': 1}}['a']['b'] }}", "{{ {'a':{'b':1}}}}", '{', '{ %', 'a}}b%}', '\n\n', '{% if yes %}\n\n\nb{% endif %}', '   {{ 1 }}', '\t{% set x = 1 %}\n\t{{ x }}', '{%- set x = 1 -%}\n\n  {{ x }}', '{{ 1 }}   {% if yes %}2{% endif %}', '\u00a0{% if yes %}b{% endif %}', '{{ "a" }}\n   {%- if yes %}b{% endif %}', '{%if yes%}a{%endif%}', '{#{% if #}a',
    # loops
    '{% for x in numbers %}{{ x }},{% endfor %}', '{% for x in numbers %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }};{% endfor %}', '{% for x in [] %}{{ x }}{% else %}none{% endfor %}', '{% for x in numbers if x > 1 %}{{ loop.index }}:{{ x }}{{ loop.last }} {% endfor %}', '{% for k, v in record.items() %}{{ k }}={{ v }};{% endfor %}', '{% for k in record %}{{ k }};{% endfor %}', '{% for a, b in nested %}{{ a }}{% endfor %}', "{% for c in 'aé🙂' %}[{{ c }}]{% endfor %}",
    '{% for x in numbers %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% endfor %}', '{% for x in numbers %}{{ x }}{% if x == 1 %}!{% break %}{% endif %}{% endfor %}', "{% for x in numbers %}{{ loop.cycle('a', 'b') }}{% endfor %}", '{% for x in numbers %}{{ loop.previtem }}{{ loop.nextitem }}|{% endfor %}', '{% for x in letters %}{{ loop.changed(x) }}{% endfor %}', '{% for x in numbers %}{% for y in nested %}{{ loop.index }}{{ loop.depth }}{% endfor %}{{ loop.index }};{% endfor %}', '{% for x in numbers %}{% set outer = loop %}{% for y in nested %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}',
    '{% set x = 0 %}{% for i in numbers %}{% set x = x + i %}{{ x }} {% endfor %}{{ x }}', '{% for i in numbers %}{% if loop.first %}{% set a = 1 %}{% endif %}{{ a }}{% endfor %}', '{% set ns = namespace(x=0) %}{% for i in numbers %}{% set ns.x = ns.x + i %}{% endfor %}{{ ns.x }}', '{% for i in numbers %}{{ i }}{% endfor %}{{ i }}', '{% for n in nested recursive %}[{{ n if n is number else loop(n) }}]{% endfor %}', '{% for x in numbers %}{% break %}{% else %}e{% endfor %}', '{% for x in missing %}a{% endfor %}b', '{% for x in none %}a{% endfor %}', '{% for x in 5 %}a{% endfor %}', '{% for x in numbers|reverse %}{{ x }}{{ loop.length }}{% endfor %}',
    '{% set ns = namespace(stop=false) %}{% for x in numbers if not ns.stop %}{{ x }}{% set ns.stop = true %}{% endfor %}', '{% for x in 1, 2 %}{{ x }}{% endfor %}', '{% for (a, b) in [(1, 2)] %}{{ a }}{{ b }}{% endfor %}', "{% for m in messages %}{{ loop.index0 % 2 == 0 }}{% endfor %}", "{% set it = numbers|map('string') %}{% for a in it %}{{ a }}{% endfor %}|{% for a in it %}{{ a }}{% endfor %}", '{% for x in numbers recursive %}{{ loop.depth }}{% endfor %}',
    # set, with, if
    '{% set a, b = 1, 2 %}{{ a }}{{ b }}', '{% set a = 1, 2 %}{{ a }}', '{% set a %}x{{ 1 }}{% endset %}{{ a }}{{ a|length }}', '{% set a | upper %}x{% endset %}{{ a }}', '{% set a | replace("x", "y") | upper %}x{% endset %}{{ a }}', '{% with a = 1, b = 2 %}{{ a + b }}{% endwith %}{{ a }}', '{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a }}', '{% if no %}a{% elif yes %}b{% else %}c{% endif %}', '{% if missing %}a{% else %}b{% endif %}', '{% if yes %}{% set a = 1 %}{% endif %}{{ a }}', '{% set record.name = 1 %}', '{% set ns = namespace() %}{% set ns.a, b = 1, 2 %}{{ ns.a }}{{ b }}', '{% set ns.x = 1 %}',
    '{% set messages = messages[1:] %}{{ messages|length }}', "{% set content = messages[0]['content'] | trim + '!' %}{{ content }}", "{{ 'a' if messages[0].role == 'system' else 'b' }}", '{% filter upper %}a{{ text }}{% endfilter %}', "{% filter replace('a', 'b') | upper %}aa{% endfilter %}", '{% print 1, 2 %}', '{% set a, b = [1] %}', '{% set a = namespace(_x=1) %}', '{% with a = 1 %}{% with b = a + 1 %}{{ b }}{% endwith %}{% endwith %}', '{% set a = 1 %}{% with a = 2 %}{{ a }}{% endwith %}{{ a }}', '{% if 0 %}{% elif 0.0 %}{% elif [] %}{% elif {} %}{% elif "" %}{% elif none %}{% else %}all{% endif %}',
    # macros
    '{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}', '{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}', '{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, 2) }}', '{% macro m(a) %}{{ a }}{% endmacro %}{{ m(c=2) }}', '{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, x=3) }}', '{% macro m() %}({{ caller() }}){% endmacro %}{% call m() %}in{% endcall %}', '{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}{{ b }}{% endcall %}', '{% macro m(n) %}{{ n }}{% if n > 0 %}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(3) }}',
    '{% set x = 1 %}{% macro m() %}{{ x }}{% endmacro %}{% set x = 2 %}{{ m() }}', '{% macro m() %}{% set y = 1 %}{% endmacro %}{{ m() }}{{ y }}', '{% macro m(x=y) %}{{ x }}{% endmacro %}{% set y = 3 %}{{ m() }}', '{{ m() }}{% macro m() %}a{% endmacro %}', '{% macro m() %}\n  a\n{% endmacro %}\n{{ m() }}|', '{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(1) }}', '{% for x in numbers %}{% macro m() %}{{ x }}{% endmacro %}{{ m() }}{% endfor %}', '{% macro m() %}a{% endmacro %}{{ m()|upper }}{{ m() ~ "b" }}{{ m.name }}', '{% macro m(a) %}{{ a.b }}{% endmacro %}{{ m({"b": 1}) }}', '{% call 5 %}{% endcall %}', '{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}',
    '{% macro f(x) %}{{ x }}{% endmacro %}{{ f(*[1]) }}{{ f(**{"x": 2}) }}', '{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}', '{% for x in numbers %}{{ loop.index }}{% call m2() %}{% endcall %}{% endfor %}', '{% macro m(x) %}{% if x %}{% for i in range(x) %}{{ i }}{{ loop.last }}{% endfor %}{% endif %}{% endmacro %}{{ m(3) }}', '{% set f = "x".upper %}{{ f() }}',
    # what is not there
    '{% block a %}b{% endblock %}', '{% include "x" %}', '{% import "x" as y %}', '{% do 1 %}', '{% autoescape true %}{{ html }}{% endautoescape %}', '{% unknown %}', '{% if yes %}', '{% endif %}', '{{ 1 +', '{{ }}', '{% for %}', '{{ (1 }}', "{{ 'a }}", '{{ 1 2 }}', '{{ a b }}', '{% set 1 = 2 %}', '{% set true = 2 %}', '{{ "a" | }}', '{# a', '{{ [1 2] }}', '{{ {1 2} }}', '{{ f(a=1, 2) }}', '{% break %}', '{{ a is }}', '{{ ! }}', '{{ a[1, 2] }}', '{{ messages.0.role }}', '{% if yes: %}a{% endif %}', '{{ "a"; }}',
    # generation
    '{% for m in messages %}{{ m.role }}:{% generation %}{{ m.content }}{% endgeneration %};{% endfor %}', '{% generation %}\na\n{% endgeneration %}\nb', 'x  {%- generation -%}  a  {%- endgeneration -%}  y', '{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}', '🙂{% generation %}🙂a{% endgeneration %}b', '{% generation %}a{% generation %}b{% endgeneration %}c{% endgeneration %}', '{% generation %}{% endgeneration %}', '{% for x in numbers %}{% if x > 1 %}{% generation %}{{ x }}{{ loop.index }}{% endgeneration %}{% endif %}-{% endfor %}', '{% generation %}{% for x in numbers %}{{ x }}{% endfor %}{% endgeneration %}',
]


def rendered(template):
    try:
        text, indices = render_jinja_template([messages], chat_template=template, return_assistant_tokens_mask='generation' in template, **variables)
        return {'text': text[0], **({'generated': [list(pair) for pair in indices[0]]} if indices else {})}
    except Exception as error:  # noqa: BLE001
        return {'error': f'{type(error).__name__}: {error}'[:120]}


def main():
    cases = [{'template': template, **rendered(template)} for template in ['{{ ' + e + ' }}' for e in expressions] + statements]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'jinja.json')
    with open(path, 'w', encoding='utf8') as file:
        file.write('{"variables": ' + json.dumps(variables, ensure_ascii=False) + ',\n"messages": ' + json.dumps(messages) + ',\n"cases": [\n'
                   + ',\n'.join(json.dumps(case, ensure_ascii=False) for case in cases) + '\n]}\n')


if __name__ == '__main__':
    main()
