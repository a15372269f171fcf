# cmake -DLAB=TRAP_LAB -DISOLATED=SCRIPT -DOUTPUT=FILE -P register.cmake: a CTest test for each
# scenario that trap-lab lists.
# One busy scenario runs at a time, and three calm ones beside it: they wait most of the time. The
# busy ones begin first (COST), as they are the longest queue. kernels.lab-6.1 runs those that need
# an emulated machine.
cmake_policy(SET CMP0054 NEW) # "calm" is a word, not the variable
execute_process(COMMAND ${LAB} list --json OUTPUT_VARIABLE scenarios COMMAND_ERROR_IS_FATAL ANY)
string(JSON count LENGTH "${scenarios}")
math(EXPR last "${count} - 1")
set(tests "")
set(turn 0)
foreach(number RANGE ${last})
  string(JSON name GET "${scenarios}" ${number} name)
  string(JSON class GET "${scenarios}" ${number} class)
  if(class STREQUAL "emulated")
    continue()
  endif()
  if(class STREQUAL "matrix" OR class STREQUAL "slow")
    string(APPEND tests
      "if(CTEST_CONFIGURATION_TYPE STREQUAL \"${class}\")\n"
      "  add_test(lab.${name} \"${ISOLATED}\" \"${LAB}\" run ${name})\n"
      "  set_tests_properties(lab.${name} PROPERTIES LABELS ${class} RESOURCE_LOCK busy_lab TIMEOUT 1200)\n"
      "endif()\n")
    continue()
  endif()
  set(lock busy_lab)
  set(cost 300)
  if(class STREQUAL "calm")
    math(EXPR turn "(${turn} + 1) % 3")
    set(lock calm_lab_${turn})
    set(cost 50)
  endif()
  string(APPEND tests
    "add_test(lab.${name} \"${ISOLATED}\" \"${LAB}\" run ${name})\n"
    "set_tests_properties(lab.${name} PROPERTIES LABELS scenarios RESOURCE_LOCK ${lock} COST ${cost} TIMEOUT 240)\n")
endforeach()
file(WRITE ${OUTPUT} "${tests}")
