# Installation by components: server, guard, client, ctl, doc, and lab if it is built.
# trap_install_program(TARGET COMPONENT DIRECTORY), trap_install_link(FILE LINK COMPONENT) and
# trap_install_manifest().

# The folder of units is relative to the prefix: systemd reads /usr/lib and /usr/local/lib.
set(TRAP_UNIT_DIR lib/systemd/system CACHE STRING "Where systemd units are installed")
set(TRAP_SYSUSERS_DIR lib/sysusers.d CACHE STRING "Where systemd-sysusers looks for groups to make")
option(TRAP_MANIFEST "Install the list of installed files, which make uninstall reads" ON)

function(trap_install_program target component directory)
  set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
  install(TARGETS ${target} RUNTIME DESTINATION ${directory} COMPONENT ${component})
endfunction()

# A symbolic link at LINK to FILE, both relative to the prefix.
function(trap_install_link file link component)
  cmake_path(GET link PARENT_PATH directory)
  cmake_path(GET link FILENAME name)
  file(RELATIVE_PATH target /${directory} /${file})
  set(made ${CMAKE_CURRENT_BINARY_DIR}/links/${directory}/${name})
  file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/links/${directory})
  file(CREATE_LINK ${target} ${made} SYMBOLIC)
  install(FILES ${made} DESTINATION ${directory} COMPONENT ${component})
endfunction()

# Called last: what one installation put there is added to the list of those before it.
function(trap_install_manifest)
  if(TRAP_MANIFEST)
    configure_file(${PROJECT_SOURCE_DIR}/cmake/Manifest.cmake.in
                   ${CMAKE_BINARY_DIR}/Manifest.cmake @ONLY)
    install(SCRIPT ${CMAKE_BINARY_DIR}/Manifest.cmake ALL_COMPONENTS)
  endif()
endfunction()
