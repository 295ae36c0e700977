/**
 * The C++ of a small addon beside TensorFlow's own: it sets the least severity that Abseil's log prints, 0 for information to 3 for what
 * ends the process. Parts of TensorFlow write to that log, which heeds no variable of the environment. Abseil's namespace has its version
 * in its name, which the wheel's header knows; a TensorFlow without the function is left as it is.
 */
export const logSource = `#include <node_api.h>
#include "absl/base/options.h"

namespace absl {
inline namespace ABSL_OPTION_INLINE_NAMESPACE_NAME {
enum class LogSeverityAtLeast : int;
__attribute__((weak)) void SetMinLogLevel(LogSeverityAtLeast severity);
}
}

static napi_value setLogLevel(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value given;
  int32_t severity;
  if (napi_get_cb_info(env, info, &count, &given, nullptr, nullptr) != napi_ok || napi_get_value_int32(env, given, &severity) != napi_ok) {
    napi_throw_type_error(env, nullptr, "a severity is a number");
  } else if (absl::SetMinLogLevel != nullptr) {
    absl::SetMinLogLevel(static_cast<absl::LogSeverityAtLeast>(severity));
  }
  return nullptr;
}

NAPI_MODULE_INIT() {
  napi_value made = nullptr;
  napi_create_function(env, "setLogLevel", NAPI_AUTO_LENGTH, setLogLevel, nullptr, &made);
  return made;
}
`
