# Two ways to a short build: headers that most sources include are parsed once a build (precompiled),
# and a target's sources of one folder are compiled together (unity). trap_hasten(DIRECTORY) does
# both for every C++ target below it. Switch both off, and a build shows an include that a source
# forgot:
#   cmake --preset dev -B build/plain -DTRAP_PRECOMPILE=OFF -DTRAP_UNITY=OFF
option(TRAP_PRECOMPILE "Use precompiled headers" ON)
option(TRAP_OPTIMISED "Optimise, as users and benchmarks want it; off where the build is to be short" ON)
option(TRAP_UNITY "Compile a target's sources of one folder together" ON)

# Sources, or all those of a target with the property TRAP_APART, to be compiled apart: names in the unnamed namespaces of a folder would clash, or -Wshadow
# would find one's name in another.
function(trap_compile_apart)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()

function(trap_unite target)
  get_target_property(sources ${target} SOURCES)
  get_target_property(directory ${target} SOURCE_DIR)
  foreach(source ${sources})
    cmake_path(ABSOLUTE_PATH source BASE_DIRECTORY ${directory} NORMALIZE OUTPUT_VARIABLE path)
    cmake_path(RELATIVE_PATH path BASE_DIRECTORY ${PROJECT_SOURCE_DIR} OUTPUT_VARIABLE relative)
    cmake_path(GET relative PARENT_PATH folder)
    string(MAKE_C_IDENTIFIER "${folder}" group)
    set_source_files_properties(${path} TARGET_DIRECTORY ${target} PROPERTIES UNITY_GROUP ${group})
  endforeach()
  # <netinet/in.h> first: the kernel's headers leave out what it defines, but not the reverse.
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP
                        UNITY_BUILD_CODE_BEFORE_INCLUDE "#include <netinet/in.h>")
endfunction()

# What computes for milliseconds and is compiled for seconds: tests, and everything in a build for
# them (TRAP_OPTIMISED=OFF). BPF programs are always optimised.
set(TRAP_UNOPTIMISED_OPTIONS -O0)
if(NOT TRAP_OPTIMISED)
  target_compile_options(trap_flags INTERFACE ${TRAP_UNOPTIMISED_OPTIONS})
endif()

set(TRAP_COMMON_HEADERS
  <algorithm> <chrono> <cstdint> <cstring> <filesystem> <fstream> <functional> <map> <memory>
  <optional> <set> <sstream> <string> <string_view> <vector> <fmt/format.h> <nlohmann/json.hpp>)

function(trap_add_precompiled name)
  cmake_parse_arguments(arg "" "" "HEADERS;LINK;OPTIONS" ${ARGN})
  file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/${name}.cpp CONTENT "")
  add_library(${name} OBJECT ${CMAKE_BINARY_DIR}/${name}.cpp)
  target_link_libraries(${name} PRIVATE trap_flags nlohmann_json::nlohmann_json ${arg_LINK})
  target_compile_options(${name} PRIVATE ${arg_OPTIONS})
  target_precompile_headers(${name} PRIVATE ${TRAP_COMMON_HEADERS} ${arg_HEADERS})
endfunction()

function(trap_hasten_target target)
  get_target_property(type ${target} TYPE)
  if(NOT type MATCHES "STATIC_LIBRARY|EXECUTABLE")
    return()
  endif()
  get_target_property(linked ${target} LINK_LIBRARIES)
  get_target_property(apart ${target} TRAP_APART)
  if(TRAP_UNITY AND NOT apart)
    trap_unite(${target})
  endif()
  set(precompiled trap_precompiled)
  if(linked MATCHES "GTest::")
    set(precompiled trap_precompiled_tests)
    target_compile_options(${target} PRIVATE ${TRAP_UNOPTIMISED_OPTIONS})
  endif()
  if(TRAP_PRECOMPILE)
    target_precompile_headers(${target} REUSE_FROM ${precompiled})
  endif()
endfunction()

function(trap_hasten directory)
  get_property(targets DIRECTORY ${directory} PROPERTY BUILDSYSTEM_TARGETS)
  foreach(target ${targets})
    trap_hasten_target(${target})
  endforeach()
  get_property(children DIRECTORY ${directory} PROPERTY SUBDIRECTORIES)
  foreach(child ${children})
    trap_hasten(${child})
  endforeach()
endfunction()
