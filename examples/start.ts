/**
 * The program of `npm start`: fine-tunes SmolLM2-135M-Instruct to answer `Define the word "…".` with a dictionary's
 * gloss. PaCA trains 8 columns of each projection and adds nothing to the network.
 */
import { existsSync } from 'node:fs'
import {
  adapt,
  adamw,
  capacityFor,
  chain,
  clipByGlobalNorm,
  compile,
  orThrow,
  paca,
  schedule,
  trainStep,
} from '../src/index.ts'
import { adapterOf, encodeChat, fetchModel, hashOf, saveAdapter, versions, type Row } from '../src/io.ts'
import { evaluateRows, generateText, openModel, parameterCounts, promptIds, textExamples, train } from '../src/model.ts'
// the texts and pages of the command line, and the way it keeps its folder, are not part of the package
import { replaceFile, reserve } from '../src/host/index.ts'
import { bytesText } from '../src/text/index.ts'
import type { FinetuneEvent } from '../src/program/events.ts'
import { noRun, runAfter, runPage } from '../src/program/page/run-page.ts'
import { showSeconds, stepDisplay } from '../src/program/progress.ts'
import { definitionMessages, question, splitBySeed, wordnetNouns, type Definition } from './wordnet.ts'

const [rank, seed, lr, batch, steps, heldOutWords, answerTokens] = [8, 0, 3e-3, 4, 24, 32, 28]
const say = (text = ''): void => {
  process.stdout.write(`${text}\n`)
}
/** Reports progress to the user. */
const note = (text: string): void => {
  process.stderr.write(`${text}\n`)
}

/** `name`, or the first of `name-2`, `name-3`, … that is free. */
const freeName = (name: string, n = 1): string => {
  const candidate = n === 1 ? name : `${name}-${n}`
  return existsSync(candidate) ? freeName(name, n + 1) : candidate
}

/** The model's file: out of the cache, or downloaded. */
const modelFile = (): Promise<string> => {
  let shown = 0
  return orThrow(
    fetchModel({
      onProgress: ({ from, received, total }) => {
        if (received > 0 && Date.now() - shown < 1000) return
        shown = Date.now()
        note(`downloading SmolLM2-135M-Instruct (${from}): ${bytesText(received)} of ${bytesText(total)}`)
      },
    }),
  )
}

const main = async (): Promise<void> => {
  const file = await modelFile()
  const began = performance.now()
  note('reading SmolLM2-135M-Instruct …')
  const { model, weights, checkpoint, tokenizer } = await orThrow(openModel(file))
  if (tokenizer === undefined) throw new Error(`${file} has no tokenizer`)
  const out = freeName('smollm2-glosses')
  await using _reserved = await orThrow(reserve(out))

  // real text: the first gloss of a noun is the assistant's answer
  const words = splitBySeed(await orThrow(wordnetNouns()), { seed, heldOut: heldOutWords, train: batch * steps })
  const rowsOf = (definitions: readonly Definition[]): Promise<readonly Row[]> =>
    Promise.all(
      definitions.map(definition => orThrow(async () => encodeChat(tokenizer, definitionMessages(definition)))),
    )
  const [rows, heldOut] = [await rowsOf(words.train), await rowsOf(words.heldOut)]

  // the training step is a pure value; a session runs it
  const tuned = adapt(model, paca({ targets: checkpoint.architecture.targets, rank, seed }))
  const rate = schedule.runSchedule({ schedule: 'cosine', lr, warmup: 0, steps })
  const step = trainStep(tuned, chain(clipByGlobalNorm(1), adamw({ lr: rate, weightDecay: 0.01 })))
  const { trainable, all } = parameterCounts(tuned, checkpoint)
  const baseModelHash = await orThrow(hashOf(checkpoint))
  await using session = await compile(step, { target: 'wasm', weights })
  await checkpoint.close()
  say(
    `SmolLM2-135M-Instruct on ${session.target}; PaCA trains ${trainable.toLocaleString('en')} of ${all.toLocaleString('en')} parameters ` +
      `(${((100 * trainable) / all).toFixed(2)} %), rank ${rank} on ${checkpoint.architecture.targets.join(', ')}`,
  )

  const asked = words.heldOut.filter(({ word }) => word.length <= 9).slice(0, 3)
  const prompts = await Promise.all(
    asked.map(({ word }) => orThrow(async () => promptIds(tokenizer, question(word), true))),
  )
  using decoder = session.decoder({
    batch: 1,
    capacity: capacityFor(Math.max(...prompts.map(ids => ids.length)), answerTokens),
  })
  const answers = async (): Promise<readonly string[]> => {
    const texts: string[] = []
    for (const prompt of prompts) {
      const { text } = await generateText(decoder, tokenizer, prompt, { maxTokens: answerTokens, stop: tokenizer.stop })
      texts.push(text.trim().replaceAll('\n', ' '))
    }
    return texts
  }

  note(`evaluating ${heldOut.length} held-out words and asking for ${asked.length} definitions …`)
  const base = (await session.read()).focus
  const before = await evaluateRows(session, heldOut, batch)
  const answersBefore = await answers()
  say(`loss on ${heldOut.length} held-out words (${before.tokens} scored tokens) before: ${before.loss.toFixed(3)}`)

  const plan = { batch, steps, shuffle: true, seed }
  const dims = textExamples(rows).dims(plan)
  const { total: bytes, flops } = session.certificate(dims)
  const display = stepDisplay(process.stderr, steps, bytes)
  let page = noRun('PaCA on SmolLM2-135M-Instruct, which learns to define words')
  /** Adds an event to the page. */
  const noted = (event: FinetuneEvent, step: number): void => {
    page = runAfter(page, { event, step, memory: process.memoryUsage.rss(), time: Date.now() })
  }
  const { target } = session
  noted(
    {
      event: 'start',
      target,
      trainable,
      parameters: all,
      rows: rows.length,
      unit: 'tokens',
      steps,
      batch,
      bytes,
      flops,
      process: process.memoryUsage.rss(),
    },
    0,
  )
  noted({ event: 'evaluated', when: 'before', ...before }, 0)
  for await (const event of train(session, rows, plan, k => schedule.rateAt(rate, k))) {
    display.show(event)
    noted(event, event.step)
  }
  display.stop()

  const { focus } = await session.read()
  const settings = { lr, batch, steps, schedule: 'cosine', clip: 1 }
  await orThrow(
    saveAdapter(
      out,
      adapterOf(
        {
          targetModules: checkpoint.architecture.targets,
          seed,
          settings,
          baseModelName: file,
          baseModelHash,
          versions: versions(),
        },
        { method: 'paca', rank, selection: session.selection, base, focus },
      ),
    ),
  )
  note('evaluating and asking again …')
  const after = await evaluateRows(session, heldOut, batch)
  const answersAfter = await answers()
  noted({ event: 'evaluated', when: 'after', ...after }, steps)
  const shown = asked.map(({ word, gloss }, i) => ({
    question: question(word),
    before: answersBefore[i] ?? '',
    after: answersAfter[i] ?? '',
    expected: gloss,
  }))
  const pageFile = `${out}.html`
  await orThrow(replaceFile(pageFile, await runPage({ ...page, answers: shown }, true)))

  asked.forEach(({ word, gloss }, i) => {
    say()
    say(question(word))
    say(`  before      ${answersBefore[i]}`)
    say(`  after       ${answersAfter[i]}`)
    say(`  dictionary  ${gloss}`)
  })
  say()
  say(
    `held-out loss ${before.loss.toFixed(3)} → ${after.loss.toFixed(3)} after ${steps} steps of ${batch} words; ` +
      `${trainable.toLocaleString('en')} parameters trained`,
  )
  say(`the adapter lies in ${out}; ask it:`)
  say(`  npm run -s partensor -- generate --model ${file} --adapter ${out} --chat --prompt 'Define the word "cat".'`)
  say(`a page of the run lies in ${pageFile}: open it in a browser`)
  say(`all of it took ${showSeconds((performance.now() - began) / 1000)}`)
}

try {
  await main()
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
