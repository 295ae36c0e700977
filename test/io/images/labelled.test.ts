import assert from 'node:assert/strict'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { test } from 'node:test'
import { readLabelled, type LabelledImages, type LabelledOptions } from '../../../src/io/images/labelled.ts'
import { inDirectory, message, put, right } from '../../support/archives.ts'

/** Makes files in a folder of its own; a path that ends with a slash is an empty folder. */
const among = (files: Readonly<Record<string, string>>, use: (folder: string) => Promise<void>): Promise<void> =>
  inDirectory(async folder => {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(path.join(folder, name.endsWith('/') ? name : path.dirname(name)), { recursive: true })
      if (!name.endsWith('/')) await put(folder, name, content)
    }
    await use(folder)
  })

const shown = (folder: string, { classes, images, warnings }: LabelledImages) => [
  classes.join(' '),
  images.map(({ file, label }) => `${path.relative(folder, file).split(path.sep).join('/')} ${label}`).join(', '),
  warnings.ignored,
]

test('the folders of a folder are classes, in order of their names; images lie at any depth', async () => {
  const files = [
    'b/2.JPG',
    'b/1.png',
    'a/x/3.webp',
    'a/4.jpeg',
    'C/5.jpg',
    '.git/6.png',
    'a/.7.png',
    'a/notes.txt',
    'list.txt',
  ]
  await among(Object.fromEntries(files.map(name => [`data/${name}`, ''])), async folder => {
    const data = path.join(folder, 'data')
    const all = 'C/5.jpg 0, a/4.jpeg 1, a/x/3.webp 1, b/1.png 2, b/2.JPG 2'
    assert.deepEqual(shown(data, await right(readLabelled(data))), ['C a b', all, 2])
    // the head's classes and their order
    const head = ['b', 'none', 'a', 'C']
    assert.deepEqual(shown(data, await right(readLabelled(data, { classes: head }))), [
      'b none a C',
      'C/5.jpg 3, a/4.jpeg 2, a/x/3.webp 2, b/1.png 0, b/2.JPG 0',
      2,
    ])
  })
})

const images = { 'i/1.png': '', 'i/2.png': '', 'i/3, 4.png': '' }

for (const [name, file, content, expected] of [
  [
    'JSON lines with names',
    'd.jsonl',
    '{"image": "i/1.png", "label": "dog"}\n\n{"label": "cat", "image": "i/2.png", "more": 1}\n',
    ['cat dog', 'i/1.png 1, i/2.png 0', 0],
  ],
  [
    'JSON lines with indices',
    'd.jsonl',
    '\uFEFF{"image": "i/1.png", "label": 1}\r\n{"image": "./i/2.png", "label": 0}',
    ['0 1', 'i/1.png 1, i/2.png 0', 0],
  ],
  [
    'a CSV file with quotes, more columns and another order',
    'd.csv',
    'label,id,image\r\n"the ""dog""",7,"i/3, 4.png"\r\ncat,8,i/2.png\r\n',
    ['cat the "dog"', 'i/3, 4.png 1, i/2.png 0', 0],
  ],
  ['a CSV file of whole numbers', 'd.CSV', 'image,label\ni/1.png,0\ni/2.png,2\n\ni/3,1\n', undefined],
  [
    'a CSV file of whole numbers',
    'd.csv',
    'image,label\ni/1.png,0\ni/2.png,2\n\n"i/3, 4.png",1',
    ['0 1 2', 'i/1.png 0, i/2.png 2, i/3, 4.png 1', 0],
  ],
] as const)
  test(`${name} state images and labels${expected === undefined ? ', and a missing file is named' : ''}`, async () => {
    await among({ ...images, [file]: content }, async folder => {
      const task = readLabelled(path.join(folder, file))
      if (expected === undefined)
        assert.equal(await message(task), `${folder}/${file} line 5: there is no file ${folder}/i/3`)
      else assert.deepEqual(shown(folder, await right(task)), expected)
    })
  })

const one = '{"image": "i/1.png", "label": 0}\n'
for (const [name, files, at, sentence, options] of [
  ['nothing', {}, 'none', 'none: no such file or directory'],
  [
    'a file of another kind',
    { 'd.txt': '' },
    'd.txt',
    'd.txt: expected a folder with a folder for each class, a .jsonl file or a .csv file',
  ],
  [
    'a folder without images',
    { 'd/a/x.txt': '' },
    'd',
    'd: there are no images: expected folders, one for each class, of PNG, JPEG or WebP files',
  ],
  [
    'a folder with images of no class',
    { 'd/1.png': '', 'd/2.png': '' },
    'd',
    'd: there are no images: expected folders, one for each class, of PNG, JPEG or WebP files',
  ],
  [
    'a folder with one class',
    { 'd/a/1.png': '', 'd/a/2.png': '' },
    'd',
    'd: every image has the class "a": expected two classes or more',
  ],
  ['an empty class', { 'd/a/1.png': '', 'd/b/1.png': '', 'd/c/': '' }, 'd', 'd: the class "c" has no images'],
  [
    'an empty class although there is a head',
    { 'd/a/1.png': '', 'd/b/': '' },
    'd',
    'd: the class "b" has no images',
    { classes: ['a', 'b'] },
  ],
  [
    'a class that the head has not',
    { 'd/a/1.png': '', 'd/b/1.png': '' },
    'd',
    'd/b/1.png: the label "b" is outside the 2 classes of the head: "a", "c"',
    { classes: ['a', 'c'] },
  ],
  [
    'an index outside the head',
    { 'd.jsonl': `${one}{"image": "i/2.png", "label": 2}` },
    'd.jsonl',
    'd.jsonl line 2: the label 2 is outside the 2 classes of the head: "a", "c"',
    { classes: ['a', 'c'] },
  ],
  [
    'indices with a gap',
    { 'd.jsonl': `${one}{"image": "i/2.png", "label": 2}` },
    'd.jsonl',
    'd.jsonl: the class 1 has no images, and labels go up to 2',
  ],
  [
    'names and indices',
    { 'd.jsonl': `${one}{"image": "i/2.png", "label": "1"}` },
    'd.jsonl',
    'd.jsonl line 2: the label is "1", and that of d.jsonl line 1 0: expected names or indices',
  ],
  [
    'a missing file',
    { 'd.jsonl': `${one}{"image": "i/9.png", "label": 1}` },
    'd.jsonl',
    'd.jsonl line 2: there is no file i/9.png',
  ],
  [
    'a label that is none',
    { 'd.jsonl': `${one}{"image": "i/2.png", "label": -1}` },
    'd.jsonl',
    'd.jsonl line 2: "label" is -1: expected the name of a class, or its index from 0',
  ],
  [
    'a row without an image',
    { 'd.jsonl': '{"label": 0}' },
    'd.jsonl',
    'd.jsonl line 1: "image" is missing: expected a path',
  ],
  [
    'a row that is no object',
    { 'd.jsonl': `${one}[]` },
    'd.jsonl',
    'd.jsonl line 2: expected a JSON object with "image" and "label"',
  ],
  ['a file without rows', { 'd.jsonl': '\n' }, 'd.jsonl', 'd.jsonl: there are no rows'],
  ['a CSV file without rows', { 'd.csv': 'image,label\n' }, 'd.csv', 'd.csv: there are no rows'],
  [
    'a CSV file without a header',
    { 'd.csv': 'i/1.png,0\ni/2.png,1\n' },
    'd.csv',
    'd.csv: its first line has not one column "image": expected a header with "image" and "label"',
  ],
  [
    'a CSV file with two labels',
    { 'd.csv': 'image,label,label\n' },
    'd.csv',
    'd.csv: its first line has not one column "label": expected a header with "image" and "label"',
  ],
  [
    'an empty label of a CSV file',
    { 'd.csv': 'image,label\ni/1.png,0\ni/2.png,\n' },
    'd.csv',
    'd.csv line 3: "label" is "": expected the name of a class, or its index from 0',
  ],
  [
    'a CSV row of another length',
    { 'd.csv': 'image,label\ni/1.png,0\ni/2.png\n' },
    'd.csv',
    'd.csv: Invalid Record Length: expect 2, got 1 on line 3',
  ],
  [
    'a quote that does not end',
    { 'd.csv': 'image,label\n"i/1.png,0\n' },
    'd.csv',
    'd.csv: Quote Not Closed: the parsing is finished with an opening quote at line 2',
  ],
] as const satisfies readonly (readonly [string, Readonly<Record<string, string>>, string, string, LabelledOptions?])[])
  test(`${name}: one sentence`, async () => {
    await among({ ...images, ...files }, async folder => {
      const found = await message(readLabelled(path.join(folder, at), options))
      assert.equal(found.replaceAll(`${folder}/`, ''), sentence)
    })
  })
