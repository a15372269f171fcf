# trap_flags: what every C++ target of ours compiles and links with.
add_library(trap_flags INTERFACE)
target_include_directories(trap_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(trap_flags INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor)
target_link_libraries(trap_flags INTERFACE fmt::fmt)
# A compiler that is newer than those that were tried may warn of what is not wrong, and must not stop
# anybody's build for it.
set(newer_GNU 15)
set(newer_Clang 20)
if(TRAP_WERROR AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS "${newer_${CMAKE_CXX_COMPILER_ID}}")
  target_compile_options(trap_flags INTERFACE -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 19)
  # clang 19 calls a member that a designated initializer leaves out missing, as in libbpf's
  # LIBBPF_OPTS: "missing field 'parent' initializer" [-Wmissing-designated-field-initializers]. And it
  # tells of what libstdc++ 12 deprecates in its own std::stable_sort:
  # "'get_temporary_buffer<trap::ConfigEntry>' is deprecated" [-Wdeprecated-declarations].
  target_compile_options(trap_flags INTERFACE -Wno-missing-designated-field-initializers
                         -Wno-error=deprecated-declarations)
endif()

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 warns of what its optimiser believes of std::string, in libstdc++'s own headers:
  # char_traits.h "__builtin_memcpy accessing 9223372036854775810 or more bytes" [-Wrestrict],
  # stl_algobase.h "__builtin_memmove forming offset [7, 16] is out of the bounds [0, 7]"
  # [-Warray-bounds], "writing 1 or more bytes into a region of size 0" [-Wstringop-overflow].
  # The same lines come with any optimisation, and oftener with precompiled headers.
  target_compile_options(trap_flags INTERFACE -Wno-array-bounds -Wno-restrict
                         -Wno-stringop-overflow -Wno-stringop-overread)
endif()

if(TRAP_SANITIZE)
  set(sanitizers -fsanitize=address,undefined)
  target_compile_options(trap_flags INTERFACE ${sanitizers} -fno-sanitize-recover=all
                         -fno-omit-frame-pointer)
  target_link_options(trap_flags INTERFACE ${sanitizers})
endif()

if(TRAP_FUZZ) # libFuzzer sees its way through the libraries as well
  set(sanitizers -fsanitize=address,undefined)
  target_compile_options(trap_flags INTERFACE ${sanitizers} -fsanitize=fuzzer-no-link
                         -fno-sanitize-recover=all)
  target_link_options(trap_flags INTERFACE ${sanitizers})
endif()

if(CMAKE_BUILD_TYPE STREQUAL "Release")
  # A program tells nothing of the folder it was built in, and is the same wherever that was.
  target_compile_options(trap_flags INTERFACE
    -ffile-prefix-map=${PROJECT_SOURCE_DIR}/= -ffile-prefix-map=${CMAKE_BINARY_DIR}/=)
  if(TRAP_HARDENING)
    # Not CMAKE_POSITION_INDEPENDENT_CODE: it compiles libraries with -fPIC and programs with -fPIE,
    # and they could not share precompiled headers.
    target_compile_options(trap_flags INTERFACE -fPIE -fstack-protector-strong
      -fstack-clash-protection $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-fcf-protection>)
    target_compile_definitions(trap_flags INTERFACE _GLIBCXX_ASSERTIONS)
    target_compile_options(trap_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    target_link_options(trap_flags INTERFACE -pie -Wl,-z,relro,-z,now -Wl,--as-needed)
  endif()
endif()
