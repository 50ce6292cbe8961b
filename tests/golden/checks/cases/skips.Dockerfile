# check = skip=WorkdirRelativePath,JSONArgsRecommended;experimental=InvalidDefinitionDescription for reasons
FROM scratch
# no description
ARG A
WORKDIR a
CMD b
ENV a b
