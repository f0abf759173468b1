#!/usr/bin/python3
"""The policy library asks for no clock, socket, file, environment or thread: policy_purity.py NM LIBRARY

Reads the undefined symbols of every object of the library. A C function must be on the list of pure ones below; a C++
symbol must not be one of those through which the standard library reaches the system.
"""

import re
import subprocess
import sys

# Everything from C that a pure library may call, and why it is pure where that is not plain.
PURE_C = {
    "memory and strings": "memchr memcmp memcpy memmove memset memrchr bcmp strlen strcmp strncmp strchr",
    "text to numbers and back": "strtod strtof strtold strtol strtoul strtoll strtoull snprintf vsnprintf",
    # strtod is told the decimal point of the process's locale; no file is read.
    "locale of the process": "localeconv",
    "text of addresses": "inet_ntop inet_pton",
    "text of error numbers": "strerror __errno_location",
    # Tables compiled into libidn2; the _u8 form asks neither locale nor environment.
    "IDNA": "idn2_lookup_u8 idn2_free idn2_strerror",
    "arithmetic": "ceil floor fmod round lround ldexp frexp pow log2",
    "sorting": "qsort bsearch",
    "heap": "malloc calloc realloc free aligned_alloc",
    # A program that asserts or runs out of memory stops; that is no input from the system.
    "stopping": "abort __assert_fail __stack_chk_fail",
    "exceptions inside wrapped libraries, static data": "_Unwind_Resume _Unwind_DeleteException __cxa_allocate_exception"
    " __cxa_atexit __cxa_bad_cast __cxa_begin_catch __cxa_call_unexpected __cxa_deleted_virtual __cxa_end_catch"
    " __cxa_free_exception __cxa_guard_abort __cxa_guard_acquire __cxa_guard_release __cxa_init_primary_exception"
    " __cxa_pure_virtual __cxa_rethrow __cxa_throw __cxa_throw_bad_array_new_length __dynamic_cast __dso_handle"
    " __gxx_personality_v0 __clang_call_terminate _GLOBAL_OFFSET_TABLE_",
    # shared_ptr asks whether it must count atomically.
    "reference counts": "__libc_single_threaded __pthread_key_create",
}
PURE_C_NAMES = {name for names in PURE_C.values() for name in names.split()}
# Calls that the compiler adds: sanitizers, coverage, fortified forms of the functions above.
COMPILER = re.compile(r"^__(asan|ubsan|sanitizer|lsan|gcov|llvm)_|^__odr_asan")
NM_LINE = re.compile(r".*?:([^:]+):\s+\w (.+)$")  # library:object: U symbol
FORTIFIED = re.compile(r"^__(\w+)_chk$")

IMPURE_CXX = re.compile(
    r"""std::(__cxx11::)?basic_(i|o|)fstream | basic_filebuf | std::__basic_file | std::filesystem
      | std::chrono::.*::now\( | std::chrono::.*(tzdb|zone)
      | std::random_device | std::thread | std::this_thread | std::condition_variable | std::mutex
      | std::c(in|out|err|log)$ | std::w?(cin|cout|cerr|clog)$ | std::ios_base::Init
      | std::locale::locale\(char\ const""",
    re.VERBOSE,
)


def impurity(symbol, demangled):
    """Why this undefined symbol is refused, or None."""
    if symbol.startswith("_Z"):
        return "reaches the system" if IMPURE_CXX.search(demangled) else None
    fortified = FORTIFIED.match(symbol)
    if symbol in PURE_C_NAMES or COMPILER.match(symbol) or (fortified and fortified[1] in PURE_C_NAMES):
        return None
    return "is not on the list of pure C functions"


def undefined_symbols(nm, library):
    """[(object, symbol, demangled)]"""

    def listed(*options):
        command = [nm, "--print-file-name", "--undefined-only", "--no-sort", *options, library]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return [NM_LINE.match(line).groups() for line in lines if line]

    plain = listed()
    demangled = listed("--demangle")
    if [where for where, _ in plain] != [where for where, _ in demangled]:
        sys.exit("policy_purity: nm printed two different lists")
    return [(where, symbol, readable) for (where, symbol), (_, readable) in zip(plain, demangled)]


def check_the_check():
    """The rules refuse what they are there for, and let pass what every build needs."""
    refused = {
        **{name: name for name in "open openat fopen read write socket connect clock_gettime time gettimeofday getenv"
           " getpid ioctl stat syscall rand random getrandom setlocale sleep pthread_create __open_2 __read_chk".split()},
        "_ZNSt6chrono3_V212system_clock3nowEv": "std::chrono::_V2::system_clock::now()",
        "_ZNSt14basic_ifstreamIcSt11char_traitsIcEEC1Ev": "std::basic_ifstream<char, std::char_traits<char> >::basic_ifstream()",
        "_ZNSt13basic_filebufIcSt11char_traitsIcEEC1Ev": "std::basic_filebuf<char, std::char_traits<char> >::basic_filebuf()",
        "_ZSt4cout": "std::cout",
        "_ZNSt8ios_base4InitC1Ev": "std::ios_base::Init::Init()",
    }
    accepted = {
        "memcpy": "memcpy",
        "__memcpy_chk": "__memcpy_chk",
        "__asan_report_load8": "__asan_report_load8",
        "_ZNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEC1Ev": "std::__cxx11::basic_string<char>::basic_string()",
        "_ZN8namewall9BootTimeC1Ev": "namewall::BootTime::BootTime()",
    }
    wrong = [s for s, d in refused.items() if not impurity(s, d)] + [s for s, d in accepted.items() if impurity(s, d)]
    if wrong:
        sys.exit(f"policy_purity: the rules judge {wrong} wrongly")


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    check_the_check()
    symbols = undefined_symbols(sys.argv[1], sys.argv[2])
    objects = {where for where, _, _ in symbols}
    if "endpoint.cpp.o" not in objects or not any(symbol == "inet_pton" for _, symbol, _ in symbols):
        sys.exit(f"policy_purity: {sys.argv[2]} does not look like the policy library")
    failures = [(w, d, why) for w, s, d in symbols if (why := impurity(s, d))]
    for where, readable, why in failures:
        print(f"{where}: `{readable}` {why}")
    print(f"{len(symbols)} undefined symbols in {len(objects)} objects, {len(failures)} refused")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
