import path from 'node:path'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { pipe } from 'fp-ts/lib/function.js'
import { ifThere, readJsonObject } from '../../host/index.ts'
import { fail, type IoError } from '../../text/index.ts'
import type { Preprocessing } from './preprocessing.ts'
import { timmPreprocessing } from './timm-transform.ts'
import { transformersPreprocessing } from './transformers-processor.ts'

/**
 * Reads how a model's images are prepared, from its folder: `preprocessor_config.json` as transformers writes it, or
 * else timm's `config.json`. Errors: neither is there, or one asks for what is not served.
 * @example const preprocessing = await orThrow(readPreprocessing('vit-base-patch16-224'))
 */
export const readPreprocessing = (directory: string): TE.TaskEither<IoError, Preprocessing> => {
  const [processor, config] = ['preprocessor_config.json', 'config.json'].map(name => path.join(directory, name)) as [
    string,
    string,
  ]
  return pipe(
    ifThere(readJsonObject(processor)),
    TE.flatMap(json =>
      json !== undefined
        ? TE.fromEither(transformersPreprocessing(processor, json))
        : pipe(
            readJsonObject(config),
            TE.flatMapEither(own =>
              'pretrained_cfg' in own || 'input_size' in own
                ? timmPreprocessing(config, own)
                : fail(`${processor}: there is no such file, and ${config} does not say how images are prepared`),
            ),
          ),
    ),
  )
}
