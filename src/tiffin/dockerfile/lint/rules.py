"""The table of lint rules: BuildKit's by their names and words, and those of the house. Pure.

Each has a page in docs/checks, with what it is about, a bad and a good Dockerfile.
"""

from __future__ import annotations

from tiffin.dockerfile.lint.rule import Rule

STAGE_NAME_CASING = Rule(
    "StageNameCasing", "Stage names should be lowercase", "Stage name '{}' should be lowercase"
)
FROM_AS_CASING = Rule(
    "FromAsCasing",
    "The 'as' keyword should match the case of the 'from' keyword",
    "'{}' and '{}' keywords' casing do not match",
)
NO_EMPTY_CONTINUATION = Rule(
    "NoEmptyContinuation",
    "Empty continuation lines will become errors in a future release",
    "Empty continuation line",
)
CONSISTENT_INSTRUCTION_CASING = Rule(
    "ConsistentInstructionCasing",
    "All commands within the Dockerfile should use the same casing (either upper or lower)",
    "Command '{}' should match the case of the command majority ({})",
)
DUPLICATE_STAGE_NAME = Rule(
    "DuplicateStageName",
    "Stage names should be unique",
    'Duplicate stage name "{}", stage names should be unique',
)
RESERVED_STAGE_NAME = Rule(
    "ReservedStageName",
    "Reserved words should not be used as stage names",
    'Stage name should not use the same name as reserved stage "{}"',
)
JSON_ARGS_RECOMMENDED = Rule(
    "JSONArgsRecommended",
    "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
    "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
)
MAINTAINER_DEPRECATED = Rule(
    "MaintainerDeprecated",
    "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
    "Maintainer instruction is deprecated in favor of using label",
)
UNDEFINED_ARG_IN_FROM = Rule(
    "UndefinedArgInFrom", "FROM command must use declared ARGs", "FROM argument '{}' is not declared{}"
)
WORKDIR_RELATIVE_PATH = Rule(
    "WorkdirRelativePath",
    "Relative workdir without an absolute workdir declared within the build "
    "can have unexpected results if the base image changes",
    'Relative workdir "{}" can have unexpected results if the base image changes',
)
UNDEFINED_VAR = Rule(
    "UndefinedVar", "Variables should be defined before their use", "Usage of undefined variable '${}'{}"
)
MULTIPLE_INSTRUCTIONS_DISALLOWED = Rule(
    "MultipleInstructionsDisallowed",
    "Multiple instructions of the same type should not be used in the same stage",
    "Multiple {} instructions should not be used in the same stage because only the last one will be used",
)
LEGACY_KEY_VALUE_FORMAT = Rule(
    "LegacyKeyValueFormat",
    "Legacy key/value format with whitespace separator should not be used",
    '"{0} key=value" should be used instead of legacy "{0} key value" format',
)
INVALID_BASE_IMAGE_PLATFORM = Rule(
    "InvalidBaseImagePlatform",
    "Base image platform does not match expected target platform",
    'Base image {} was pulled with platform "{}", expected "{}" for current build',
)
REDUNDANT_TARGET_PLATFORM = Rule(
    "RedundantTargetPlatform",
    "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
    "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
)
SECRETS_USED_IN_ARG_OR_ENV = Rule(
    "SecretsUsedInArgOrEnv",
    "Sensitive data should not be used in the ARG or ENV commands",
    'Do not use ARG or ENV instructions for sensitive data ({} "{}")',
)
INVALID_DEFAULT_ARG_IN_FROM = Rule(
    "InvalidDefaultArgInFrom",
    "Default value for global ARG results in an empty or invalid base image name",
    "Default value for ARG {} results in empty or invalid base image name",
)
FROM_PLATFORM_FLAG_CONST_DISALLOWED = Rule(
    "FromPlatformFlagConstDisallowed",
    "FROM --platform flag should not use a constant value",
    'FROM --platform flag should not use constant value "{}"',
)
COPY_IGNORED_FILE = Rule(
    "CopyIgnoredFile",
    "Attempting to Copy file that is excluded by .dockerignore",
    'Attempting to {} file "{}" that is excluded by .dockerignore',
    experimental=True,
)
INVALID_DEFINITION_DESCRIPTION = Rule(
    "InvalidDefinitionDescription",
    "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. "
    "If this is not intended to be a description comment, add an empty line or comment between the "
    "instruction and the comment.",
    "Comment for {} should follow the format: `# {} <description>`",
    experimental=True,
)
EXPOSE_PROTO_CASING = Rule(
    "ExposeProtoCasing",
    "Protocol in EXPOSE instruction should be lowercase",
    "Defined protocol '{}' in EXPOSE instruction should be lowercase",
)
EXPOSE_INVALID_FORMAT = Rule(
    "ExposeInvalidFormat",
    "IP address and host-port mapping should not be used in EXPOSE instruction. "
    "This will become an error in a future release",
    "EXPOSE instruction should not define an IP address or host-port mapping, found '{}'",
)

UNUSED_BUILD_ARG = Rule(
    "UnusedBuildArg",
    "A build argument that is given should be declared by an ARG",
    "--build-arg {} is not used: no ARG declares it; {}",
    house=True,
)
UNPINNED_BASE_IMAGE = Rule(
    "UnpinnedBaseImage",
    "Base images should be named by an exact version or a digest",
    "{} is another image after each of its updates; name an exact version, like {}, or a digest",
    house=True,
    check_only=True,
)
DOWNLOAD_CACHE_IN_LAYER = Rule(
    "DownloadCacheInLayer",
    "What pip and uv keep of their downloads should not stay in a layer",
    "{} leaves its downloads in the layer; add {}, or RUN --mount=type=cache,target={}",
    house=True,
    check_only=True,
)
APT_UPDATE_ALONE = Rule(
    "AptUpdateAlone",
    "apt-get update and the install that needs it should be one instruction",
    "apt-get update without an install: the list it fetches grows old in the cache, "
    "and a later install asks for packages that are gone",
    house=True,
    check_only=True,
)
APT_LISTS_IN_LAYER = Rule(
    "AptListsInLayer",
    "Package lists of apt should not stay in a layer",
    "apt-get leaves its package lists in the layer; end with rm -rf /var/lib/apt/lists/*, "
    "or RUN --mount=type=cache,target=/var/lib/apt/lists",
    house=True,
    check_only=True,
)

COPY_SECRET_FILE = Rule(
    "CopySecretFile",
    "Keys and passwords should not be copied into an image",
    "the image gets {}, to be read by everybody who has it; leave that out by .dockerignore, "
    "and lend it to steps with RUN --mount=type=secret",
    house=True,
    of_files=True,
)
COPY_GIT_DIRECTORY = Rule(
    "CopyGitDirectory",
    "The history of a repository should not be copied into an image",
    "the image gets {}: {} of history, with all that was ever committed; add .git to .dockerignore",
    house=True,
    of_files=True,
)
COPY_GIT_IGNORED_FILES = Rule(
    "CopyGitIgnoredFiles",
    "What is too large or too volatile for git is rarely meant to be copied",
    "{} of the {} that are copied here are {}, which git ignores and .dockerignore does not",
    house=True,
    of_files=True,
)
IGNORE_PATTERN_AT_ROOT_ONLY = Rule(
    "IgnorePatternAtRootOnly",
    "A pattern of .dockerignore holds at the root of the context only, unless it begins with **/",
    '"{}", line {} of {}, holds at the root of the context only; copied from deeper: {} ({}), such as {}; '
    "write **/{}",
    house=True,
    of_files=True,
)
FILES_REPEATED_IN_LAYER = Rule(
    "FilesRepeatedInLayer",
    "A change of owner or mode should not be an instruction of its own",
    "this layer holds again what is below it: {} in {}, of which only owner, mode or attributes changed; "
    "set them where the files are made, with COPY --chown and --chmod, or in the same RUN",
    house=True,
    of_files=True,
)

RULES = (
    STAGE_NAME_CASING,
    FROM_AS_CASING,
    NO_EMPTY_CONTINUATION,
    CONSISTENT_INSTRUCTION_CASING,
    DUPLICATE_STAGE_NAME,
    RESERVED_STAGE_NAME,
    JSON_ARGS_RECOMMENDED,
    MAINTAINER_DEPRECATED,
    UNDEFINED_ARG_IN_FROM,
    WORKDIR_RELATIVE_PATH,
    UNDEFINED_VAR,
    MULTIPLE_INSTRUCTIONS_DISALLOWED,
    LEGACY_KEY_VALUE_FORMAT,
    INVALID_BASE_IMAGE_PLATFORM,
    REDUNDANT_TARGET_PLATFORM,
    SECRETS_USED_IN_ARG_OR_ENV,
    INVALID_DEFAULT_ARG_IN_FROM,
    FROM_PLATFORM_FLAG_CONST_DISALLOWED,
    COPY_IGNORED_FILE,
    INVALID_DEFINITION_DESCRIPTION,
    EXPOSE_PROTO_CASING,
    EXPOSE_INVALID_FORMAT,
    UNUSED_BUILD_ARG,
    UNPINNED_BASE_IMAGE,
    DOWNLOAD_CACHE_IN_LAYER,
    APT_UPDATE_ALONE,
    APT_LISTS_IN_LAYER,
    COPY_SECRET_FILE,
    COPY_GIT_DIRECTORY,
    COPY_GIT_IGNORED_FILES,
    IGNORE_PATTERN_AT_ROOT_ONLY,
    FILES_REPEATED_IN_LAYER,
)
