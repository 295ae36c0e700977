import type { ConvergenceCertificate } from './certificate-format.ts'
import { pictureSpec } from './picture-spec.ts'

/**
 * The picture of a certificate, an SVG: loss and bound by step, below them the slack (logarithmic, around 0 linear),
 * violations as red crosses; above them the rate, ηL and what came of it. The same certificate gives the same text.
 * Drawn by Vega, which is loaded here and not before.
 * @example await writeFile('certificate.svg', await certificatePicture(certificate))
 */
export const certificatePicture = async (certificate: ConvergenceCertificate): Promise<string> => {
  const { parse, View } = await import('vega')
  const view = new View(parse(pictureSpec(certificate)), { renderer: 'none' })
  try {
    return `${await view.toSVG()}\n`
  } finally {
    view.finalize()
  }
}
