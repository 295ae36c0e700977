import * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import { orThrow, type IoError } from '../../text/index.ts'
import type { FinetuneEvent } from '../events.ts'
import type { Follower } from './follower.ts'
import { jsonlFollower } from './jsonl.ts'

type Open = (path: string) => Promise<TE.TaskEither<IoError, Follower>>

/** The forms of a log, by the word before their path. */
const forms = {
  tensorboard: async path => (await import('./tensorboard.ts')).tensorboardFollower(path),
  jsonl: async path => jsonlFollower(path),
} satisfies Readonly<Record<string, Open>>

/** A log of a run: its form, and its file or folder. */
export interface LogChoice {
  readonly form: keyof typeof forms
  readonly path: string
}

const isForm = (word: string): word is LogChoice['form'] => Object.hasOwn(forms, word)

/**
 * Reads `tensorboard:DIR` or `jsonl:FILE`. Errors: another form, no path.
 * @example logChoice('jsonl:run.jsonl')
 */
export const logChoice = (text: string): E.Either<string, LogChoice> => {
  const at = text.indexOf(':')
  const [form, path] = [text.slice(0, Math.max(at, 0)), text.slice(at + 1)]
  return isForm(form) && path !== '' ? E.right({ form, path }) : E.left('It must be tensorboard:DIR or jsonl:FILE.')
}

/** The files that follow a run. */
export interface Following {
  /** Writes an event to all of them. One that cannot be written ends with a warning, and the run goes on. */
  follow(event: FinetuneEvent): Promise<void>
  close(): Promise<void>
}

/** The files that follow a run: its logs, and a page with its subject in words. */
export interface FollowChoice {
  readonly logs: readonly LogChoice[]
  readonly page?: { readonly path: string; readonly subject: string }
}

/**
 * Opens the files that follow a run, before it begins. Errors are thrown with one sentence: a log is there already, a
 * folder cannot be written.
 * @example const following = await openFollowing({ logs: [{ form: 'jsonl', path: 'run.jsonl' }] }, warn)
 */
export const openFollowing = async (
  { logs, page }: FollowChoice,
  warn: (message: string) => void,
): Promise<Following> => {
  let followers: readonly Follower[] = []
  const close = async (): Promise<void> => {
    const open = followers
    followers = []
    for (const follower of open) {
      const closed = await follower.close()()
      if (E.isLeft(closed)) warn(closed.left.message)
    }
  }
  try {
    for (const { form, path } of logs) followers = [...followers, await orThrow(await forms[form](path))]
    if (page !== undefined) {
      const { pageFollower } = await import('./page.ts')
      followers = [...followers, await orThrow(pageFollower(page.path, page.subject))]
    }
  } catch (error) {
    await close()
    throw error
  }
  let step = 0
  return {
    close,
    follow: async event => {
      if (event.event === 'step') step = event.step
      const followed = { event, step, memory: process.memoryUsage.rss(), time: Date.now() }
      for (const follower of followers) {
        const written = await follower.follow(followed)()
        if (E.isRight(written)) continue
        warn(`${written.left.message}; the run goes on without this file`)
        followers = followers.filter(other => other !== follower)
        await follower.close()()
      }
    },
  }
}
