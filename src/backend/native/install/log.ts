/**
 * The C++ source of a small addon next to TensorFlow's. `setLogLevel(severity)` drops log lines below a severity, from
 * 0 for information to 3 for fatal errors. Parts of TensorFlow log through a library, Abseil, that ignores the
 * environment variable. TensorFlow 2.18 contains a hidden second copy of it, whose own log-level function cannot be
 * called. So the addon replaces C's `stderr` by a stream that recognizes the lines by their form. Node and JavaScript
 * do not print through it. `setLogLevel.setVariable(severity)` sets the environment variable, unless it is set: in a
 * worker thread, `process.env` is a copy that TensorFlow does not read. `setLogLevel.returnMemory()` returns freed memory
 * that the allocator kept to the system, for instance after a model was loaded.
 */
export const logSource = `#include <node_api.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <string_view>

static std::atomic<int> least{0};

// Abseil writes each message at once. It begins with a letter, the month and day, and a blank; before the first comes a
// remark.
static bool isBelow(std::string_view text, int severity) {
  constexpr std::string_view letters = "IWEF", remark = "WARNING: All log messages before absl::InitializeLog()";
  if (text.substr(0, remark.size()) == remark) return severity > 0;
  if (text.size() < 6 || text[5] != ' ' || text.substr(1, 4).find_first_not_of("0123456789") != text.npos) return false;
  const size_t own = letters.find(text[0]);
  return own != letters.npos && static_cast<int>(own) < severity;
}

static ssize_t writeKept(void*, const char* text, size_t size) {
  if (isBelow({text, size}, least)) return size;
  size_t done = 0;
  while (done < size) {
    const ssize_t written = write(STDERR_FILENO, text + done, size - done);
    if (written <= 0) break;
    done += written;
  }
  return done;
}

static void keepFrom(int severity) {
  static std::once_flag once;
  least = severity;
  std::call_once(once, [] {
    cookie_io_functions_t functions{};
    functions.write = writeKept;
    FILE* stream = fopencookie(nullptr, "w", functions);
    if (stream == nullptr) return;
    setvbuf(stream, nullptr, _IONBF, 0);
    stderr = stream;
  });
}

static void setVariable(int severity) { setenv("TF_CPP_MIN_LOG_LEVEL", std::to_string(severity).c_str(), 0); }

template <void use(int)>
static napi_value withSeverity(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value given = nullptr;
  int32_t severity = 0;
  if (napi_get_cb_info(env, info, &count, &given, nullptr, nullptr) == napi_ok && napi_get_value_int32(env, given, &severity) == napi_ok) use(severity);
  else napi_throw_type_error(env, nullptr, "a severity is a number");
  return nullptr;
}

static napi_value returnMemory(napi_env, napi_callback_info) {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  return nullptr;
}

NAPI_MODULE_INIT() {
  napi_value made = nullptr, set = nullptr, trim = nullptr;
  napi_create_function(env, "setLogLevel", NAPI_AUTO_LENGTH, withSeverity<keepFrom>, nullptr, &made);
  napi_create_function(env, "setVariable", NAPI_AUTO_LENGTH, withSeverity<setVariable>, nullptr, &set);
  napi_create_function(env, "returnMemory", NAPI_AUTO_LENGTH, returnMemory, nullptr, &trim);
  napi_set_named_property(env, made, "setVariable", set);
  napi_set_named_property(env, made, "returnMemory", trim);
  return made;
}
`
