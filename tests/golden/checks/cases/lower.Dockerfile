from scratch AS a
label a=b
onbuild LABEL a=b
cmd a
CMD b
