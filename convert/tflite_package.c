/* TensorFlow Lite models as packages. */
#include "convert/package.h"

vbg_status vbg_package_tflite(vbg_package **out, const char *path,
                              const vbg_package_opt *opt, vbg_err *err)
{
    (void)out;
    (void)opt;
    return vbg_fail(err, VBG_EUNSUPPORTED, "%s: .tflite files are not read yet", path);
}
