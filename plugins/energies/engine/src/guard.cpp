// C interfaces of engines let C++ exceptions through (OpenMM all of them, LAMMPS those that are not its own types), which would
// end a program that is not written in C++.

#include <cstddef>
#include <cstring>
#include <exception>

namespace {

void copy(const char *text, char *message, std::size_t capacity) {
    std::strncpy(message, text, capacity - 1);
    message[capacity - 1] = '\0';
}

} // namespace

/// Calls body(data). Returns 0, or 1 after an exception, with its text in `message` (`capacity` bytes, at least 1).
extern "C" int regflow_engine_guard(void (*body)(void *), void *data, char *message, std::size_t capacity) {
    try {
        body(data);
        return 0;
    } catch (const std::exception &error) {
        copy(error.what(), message, capacity);
    } catch (...) {
        copy("an exception of unknown type", message, capacity);
    }
    return 1;
}
