"""Small tables of RouterBench's kind, as the versions of pandas in question wrote them.

The published files were written by pandas 2.1.2 with protocol 5. Neither that nor the older layout
can be made by the pandas that is installed today, so their bytes are kept here.
"""

import base64
import zlib

_PANDAS_2_1_2_PROTOCOL_5 = (
    "c-nnb+fEcQ7~Wl2VS#wSsCdAv7dk-P1rmdpm<)(QaN?qP;l*mk&P;b(om1Kl3yFBR5HabUm3QzRd<q}ID-"
    "&<@&KMK@J2U8_#9s9K+y1Bir|0FjopK>v@<@zA5AnJiF<fsk6ksJQ*O5SrDg8!`zfhZMO!nGAn<;s=o1KONvk>{b9-"
    "t7lG2==OUGpRN@vZC(;_`SdVf)nKe?*i#WG7)v-N!z*9WA4ohr=X@H!|%&Vn$sh2kjP%0w-"
    "y;QjKFfQ<?9DAMd_?xaHh7Gkj=%fBNXXctgzE!kNz>XHMlfVP@Rlo+(*Q^#gihBi6r@rPi!^z5Pn9sxhla7O$#CqjB>m"
    "taP&qLOE8+>e*7VxS#~E$$lrHzMvs|q0D{iYBg4$Rk4a%i&fG)8I;Gmz7ixLfEYtyddOzjjY2M1;tCKYhh-lGD18J)g_"
    "mlf=%~!0qSdcWlVMp}+2iJuzuYvz&DRegO~XOpCpCz^h=Ps!8uIH?YM;w#NOB+?9J)l)N1Mhyf<%?_DylkBh)v@Gh&7F"
    "6UZujkAI^_gH!#<iqfKLxGA^njVWDxcYTVVo@v<Yl4|Us8<cjRe?WiU5OO}Z3CG%58E#-+U{C;c5a?_aCiU6-"
    "^9B3K~+RpX-@<xt}fDJj^jz#TKZF+iYrWP~2MsY{U(*cF>A|KJofUaw*HoJb=sk!h+MdmOBiyR!=nJesF#T-"
    "jH_T<=`W8N}_136Z5O!Gs#@<WdAQ$+nQ6*(z>SICyq=^EMFP99#zyzU?lO*mkOxMMHtJ6$C!vb;;D?dU;^Dsr9}x?;%q"
    "ZoLe^VKS|R3P(W<y+u7G55&+wv4Esw$i5xw&L(qYUY`3md{2VN!#)%#kD*Gzk%|9A^B?BXeH4mFfKfN%;J}6dDeGn&i5"
    "POh{mg)fY!)Q~1EF;KWN-"
    "S1MzW=w?T$RTUmO_<+d7b|8oPo=JlR9Nb=|%KF#$a%d%1{W1)T*12BMfM#(IOv2eSe~rz5^QAngDPl%_xzBN75e-"
    "zLP_ZuzL4k|&VwM;&f^NenXrf$KhUFwDJeo;dYi4(bCs"
)
_PANDAS_1_2_5_PROTOCOL_4 = (
    "c-nnb%Wl*#6rE{j`T~R~Al_(L&`e7wOr@%HffS(73L*vsNGt{voWvam@{;Ye9jUw)g(7)Z^AY?5U%@A^LSh3ugplCc$)"
    "JG_c#(5s`}q3abA4Y_-hQf<^biM96#IyoUP7_CN>PNR7{7`*TGsZCoPH^v%DSjHQHM%#x_^5Rb4+6tGBZLk>R`&G*n1^"
    "RyeBvF|D0Zb2>hde5`DaZndu@1?k1cVuRGV(91zGJQSI5<u@9G#;&7ZrX*Z`wS;zxKDe8hhhhi^@8K;@Yfg-"
    "AUqZFgyPH)+fc4<p4m0kH--jQ{?Y)@=Sa#&P--c416V(8YQe6yXe4vX@pY_(c9e!|cn+v3uFqhc6mC`v=@1ilm_DNUl3"
    "L$dH13Y}OdZnBf|#(ZOLuDQ@iDP9Zkx)dj(0B(mu6r7KO4P`YJH!iphk079**-hDu5+8>U7fT^9ICkbgC+ymMYQTX!;c"
    "!PUVc>A;e~0yNJepACLA1F8o;WngI0i#vNQkKDkXzX+NE_KFjt$b6qPU|3zN4^DRMHf~fxiJ_F^(t)fkcJzB$beUFfbT"
    "peK3Z!lSAZ)Qji?$={IB#zmnv%7+U>9w~K%2R#LhxHGjPO`r)Q~+sg5g_5Io7_k4#~jir;HKQ0_EaK_3X#JA@XXuExmX"
    "`g3w9ZW`1m^Glpc@lL^kl$>|0h4o391(YM>=9)jY#a9>$F+dfP|ZzZY#9%M);6xQTEMLb@#X1S7c(_^s%<O>l<^wRXl%"
    "^ZjJvAF{rnf!_xAge<enHU{KysSOCHDeiuEbCR!YVAz19-dwsBb<1b9W^MB7+Wey$di*9u$)Y>_&dCUqscmSZ2;uOvJ$"
    "K$oo|Lu8gT)PB<J)yF?MW4}3P$rLfPuNiWVnEibG6dqjDoSTO{>Yjk0x+IwpBd+Q;Oafock3iZpwQ@;}LA!Eb5n9rin+"
    "4D?Vy5aX3_SJb?NNK&E~`sq>SAleChLPQ2W1xYl^MA<sK_q$a$GKOsKDU@D+Ly9w=`1Vc!8?uGMq8}vK(kkP&=ye^*XW"
    ">VUBbsRKg(6q1URUIIAJ*X!8gP!(^Q~ewIRv2wrN4TpTjF%`(^g1&&`S(f"
)

WIDE = {
    "pandas 2.1.2": zlib.decompress(base64.b85decode(_PANDAS_2_1_2_PROTOCOL_5)),
    "pandas 1.2.5": zlib.decompress(base64.b85decode(_PANDAS_1_2_5_PROTOCOL_4)),
}
