// Windows of images, for convolutions and pooling. A geometry is that of one image [height, width, channels]: windows of rows x columns places,
// their strides, dilations, and the padding before the image; an axis alone is an image of width 1.
import { add, mul } from './lanes'
import { copyRun } from './transpose'

/** Writes n elements of one value. */
@inline
function fillRun(out: usize, n: i32, value: f32): void {
  for (let k: usize = 0; k < <usize>n; k++) store<f32>(out + (k << 2), value)
}

/** out[r, i, j, :] = the place (i, j) of window `from + r` of x [height, width, channels], or `value` where it lies in the padding. */
export function unfold(
  x: usize, out: usize, height: i32, width: i32, channels: i32, rows: i32, columns: i32, strideRows: i32, strideColumns: i32,
  dilationRows: i32, dilationColumns: i32, top: i32, left: i32, across: i32, from: i32, to: i32, value: f32
): void {
  const bytes = (<usize>channels) << 2
  for (let r = from; r < to; r++) {
    const y0 = r / across * strideRows - top
    const x0 = r % across * strideColumns - left
    for (let i = 0; i < rows; i++) {
      const y = y0 + i * dilationRows
      if (y < 0 || y >= height) {
        fillRun(out, columns * channels, value)
        out += <usize>columns * bytes
      } else {
        const line = x + <usize>(y * width) * bytes
        for (let j = 0; j < columns; j++, out += bytes) {
          const at = x0 + j * dilationColumns
          if (at < 0 || at >= width) fillRun(out, channels, value)
          else copyRun(line + <usize>at * bytes, out, bytes)
        }
      }
    }
  }
}

/** The transpose of unfold: adds windows `from` .. `to` - 1 to the places of x that they lie on. */
export function fold(
  windows: usize, x: usize, height: i32, width: i32, channels: i32, rows: i32, columns: i32, strideRows: i32, strideColumns: i32,
  dilationRows: i32, dilationColumns: i32, top: i32, left: i32, across: i32, from: i32, to: i32
): void {
  const bytes = (<usize>channels) << 2
  const whole = bytes & ~15
  for (let r = from; r < to; r++) {
    const y0 = r / across * strideRows - top
    const x0 = r % across * strideColumns - left
    for (let i = 0; i < rows; i++) {
      const y = y0 + i * dilationRows
      for (let j = 0; j < columns; j++, windows += bytes) {
        const at = x0 + j * dilationColumns
        if (y < 0 || y >= height || at < 0 || at >= width) continue
        const to = x + <usize>(y * width + at) * bytes
        for (let k: usize = 0; k < whole; k += 16) v128.store(to + k, add(v128.load(to + k), v128.load(windows + k)))
        for (let k = whole; k < bytes; k += 4) store<f32>(to + k, load<f32>(to + k) + load<f32>(windows + k))
      }
    }
  }
}

/** out[k] += a[k] * b[k] for one place of all channels. */
@inline
function addProduct(a: usize, b: usize, out: usize, bytes: usize, whole: usize): void {
  for (let k: usize = 0; k < whole; k += 16) v128.store(out + k, add(v128.load(out + k), mul(v128.load(a + k), v128.load(b + k))))
  for (let k = whole; k < bytes; k += 4) store<f32>(out + k, load<f32>(out + k) + load<f32>(a + k) * load<f32>(b + k))
}

/**
 * One of the three products of a depthwise convolution of one image, added to what is there: with x [height, width, channels], w [rows, columns, channels]
 * and y [down, across, channels], y += x * w (0), x += y * w (1), or w += x * y (2).
 */
export function depthwise(
  x: usize, w: usize, y: usize, height: i32, width: i32, channels: i32, rows: i32, columns: i32, strideRows: i32, strideColumns: i32,
  top: i32, left: i32, down: i32, across: i32, which: i32
): void {
  const bytes = (<usize>channels) << 2
  const whole = bytes & ~15
  for (let r = 0; r < down; r++) {
    for (let c = 0; c < across; c++, y += bytes) {
      for (let i = 0; i < rows; i++) {
        const row = r * strideRows - top + i
        if (row < 0 || row >= height) continue
        for (let j = 0; j < columns; j++) {
          const column = c * strideColumns - left + j
          if (column < 0 || column >= width) continue
          const p = x + <usize>(row * width + column) * bytes
          const q = w + <usize>(i * columns + j) * bytes
          if (which == 0) addProduct(p, q, y, bytes, whole)
          else if (which == 1) addProduct(y, q, p, bytes, whole)
          else addProduct(p, y, q, bytes, whole)
        }
      }
    }
  }
}
