# Headers that most sources include, parsed once a build instead of once a source.
# trap_precompile(DIRECTORY) gives them to every C++ target below it: with GoogleTest to those that
# link it, without to all others. Switched off, a build shows an include that a source forgot.
option(TRAP_PRECOMPILE "Use precompiled headers" ON)

# Tests run for milliseconds and are compiled for seconds.
set(TRAP_TEST_OPTIONS -O0)

set(TRAP_COMMON_HEADERS <algorithm> <chrono> <cstdint> <cstring> <filesystem> <fstream> <functional> <map> <memory> <optional> <set>
                        <sstream> <string> <string_view> <vector> <fmt/format.h> <nlohmann/json.hpp>)

function(trap_add_precompiled name)
  cmake_parse_arguments(arg "" "" "HEADERS;LINK;OPTIONS" ${ARGN})
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cpp CONTENT "")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE trap_flags nlohmann_json::nlohmann_json ${arg_LINK})
  target_compile_options(${name} PRIVATE ${arg_OPTIONS})
  target_precompile_headers(${name} PRIVATE ${TRAP_COMMON_HEADERS} ${arg_HEADERS})
endfunction()

function(trap_precompile_target target)
  get_target_property(type ${target} TYPE)
  get_target_property(linked ${target} LINK_LIBRARIES)
  get_target_property(precompiled ${target} PRECOMPILE_HEADERS)
  if(NOT type MATCHES "STATIC_LIBRARY|EXECUTABLE" OR precompiled)
    return()
  endif()
  if(linked MATCHES "GTest::")
    target_compile_options(${target} PRIVATE ${TRAP_TEST_OPTIONS})
    target_precompile_headers(${target} REUSE_FROM trap_precompiled_tests)
  else()
    target_precompile_headers(${target} REUSE_FROM trap_precompiled)
  endif()
endfunction()

function(trap_precompile directory)
  get_property(targets DIRECTORY ${directory} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target ${targets})
    trap_precompile_target(${target})
  endforeach()
  get_property(children DIRECTORY ${directory} PROPERTY SUBDIRECTORIES)
  foreach(child ${children})
    trap_precompile(${child})
  endforeach()
endfunction()
