# trap_add_bpf(NAME SOURCE): compiles SOURCE for BPF and makes NAME.skel.h, a libbpf skeleton with
# the object in it, available to targets that link NAME_skel.
# The distribution's own clang first; else the newest that is installed.
find_program(TRAP_CLANG NAMES clang clang-22 clang-21 clang-20 clang-19 clang-18 clang-17 clang-16
                              clang-15 clang-14 REQUIRED)
find_program(TRAP_BPFTOOL NAMES bpftool PATHS /usr/sbin /sbin REQUIRED)

find_path(TRAP_ASM_INCLUDE asm/types.h REQUIRED) # below a folder of the architecture's, on Debian

# Another build of this tree has the objects and skeletons already: they depend on no option.
set(TRAP_BPF_FROM "" CACHE PATH "The folder bpf of a build whose BPF objects this one takes")

function(trap_add_bpf name source)
  if(EXISTS "${TRAP_BPF_FROM}/${name}.skel.h")
    add_library(${name}_skel INTERFACE)
    target_include_directories(${name}_skel SYSTEM INTERFACE ${TRAP_BPF_FROM})
    target_link_libraries(${name}_skel INTERFACE trap_libbpf)
    return()
  endif()
  set(object ${CMAKE_BINARY_DIR}/bpf/${name}.bpf.o)
  set(skeleton ${CMAKE_BINARY_DIR}/bpf/${name}.skel.h)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/bpf)
  add_custom_command(
    OUTPUT ${object}
    COMMAND ${TRAP_CLANG} -target bpf -mcpu=v3 -O2 -g -std=gnu11 -Wall -Wextra -Werror
            -fno-stack-protector -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=
            -I${PROJECT_SOURCE_DIR} -I${TRAP_ASM_INCLUDE}
            -MD -MF ${object}.d -MT ${object} -c ${CMAKE_CURRENT_SOURCE_DIR}/${source} -o ${object}
    COMMAND ${TRAP_BPFTOOL} gen object ${object}.stripped ${object}
    COMMAND ${CMAKE_COMMAND} -E rename ${object}.stripped ${object}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source}
    DEPFILE ${object}.d
    COMMENT "BPF ${name}"
    VERBATIM)
  add_custom_command(
    OUTPUT ${skeleton}
    COMMAND ${TRAP_BPFTOOL} gen skeleton ${object} name ${name} > ${skeleton}
    DEPENDS ${object}
    COMMENT "Skeleton ${name}"
    VERBATIM)
  add_custom_target(${name}_bpf DEPENDS ${object} ${skeleton})
  add_library(${name}_skel INTERFACE)
  add_dependencies(${name}_skel ${name}_bpf)
  target_include_directories(${name}_skel SYSTEM INTERFACE ${CMAKE_BINARY_DIR}/bpf)
  target_link_libraries(${name}_skel INTERFACE trap_libbpf)
endfunction()
