"""A small file of every delimited format, from the exact headers of its program."""

from __future__ import annotations

ZEISS_HEADER = (
    "Index\tFirst Frame\tNumber Frames\tFrames Missing\tPosition X [nm]\tPosition Y [nm]\t"
    "Position Z [nm]\tPrecision [nm]\tNumber Photons\tBackground variance\tChi square\t"
    "PSF half width [nm]\tChannel\tZ Slice"
)
ZEISS_ROW = "1\t7\t1\t0\t15850.6\t23502.1\t-12.5\t8.6\t472\t5.33\t0.28\t110.0\t1\t1"
ZEISS_TXT = f"{ZEISS_HEADER}\r\n{ZEISS_ROW}\r\n\0\r\r\nVoxelSizeX : 0.0970873786 µm\r\r\n".encode(
    "latin-1"
)
ZEISS_CSV = f"{ZEISS_HEADER}\r\n{ZEISS_ROW}\r\n".replace("\t", ";").encode()
ZEISS_CSV_V2 = b"Index;First Frame;x [nm];y [nm];z [nm]\r\n1;7;15850,6;23502,1;-12,5\r\n"

_FIELD = '<field identifier="{0}" syntax="floating point" semantic="{1}" unit="{2}" min="0 m" />'
RAPIDSTORM_FIELDS = "".join(
    _FIELD.format(*item)
    for item in (
        ("Position-0-0", "position in sample space in X", "nanometer"),
        ("Position-1-0", "position in sample space in Y", "nanometer"),
        ("ImageNumber-0-0", "frame number", "frame"),
        ("Amplitude-0-0", "emission strength", "A/D count"),
    )
)
RAPIDSTORM = (
    f'# <localizations insequence="true" repetitions="variable">{RAPIDSTORM_FIELDS}'
    "</localizations>\n9657.4 24533.5 0 1.19225e+006\n1 2 3 4\n"
).encode()
RAPIDSTORM_TRACKS = (
    f'# <localizations insequence="true" repetitions="variable">{RAPIDSTORM_FIELDS}'
    f'<localizations insequence="true" repetitions="variable">{RAPIDSTORM_FIELDS}'
    "</localizations></localizations>\n"
    "10 20 3 500 2 9 19 3 240 11 21 4 260\n"
    "50 60 7 100 1 50 60 7 100\n"
).encode()

NSTORM_HEADER = (
    "Channel Name\tX\tY\tXc\tYc\tHeight\tArea\tWidth\tPhi\tAx\tBG\tI\tFrame\tLength\tLink\tValid\t"
    "Z\tZc\tPhotons\tLateral Localization Accuracy\tXw\tYw\tXwc\tYwc\tZw\tZwc"
)
_NSTORM_REST = (
    "1\t2\t3\t4\t300\t5000\t320\t0\t1\t100\t5100\t1\t2\t-1\t1\t5\t6\t1000\t9.5\t11\t12\t13\t14\t15\t"
    "16"
)
NSTORM = f"{NSTORM_HEADER}\r\n647\t{_NSTORM_REST}\r\nZ Rejected\t{_NSTORM_REST}\r\n".encode()
NSTORM_OLD = (
    "\t".join(NSTORM_HEADER.split("\t")[:18])
    + "\n750\t"
    + "\t".join(_NSTORM_REST.split("\t")[:17])
    + "\n"
).encode()
NSTORM_V5 = (
    b"ID\tX\tY\tZ\tLateral Localization Accuracy\tChannel\tFrame\tColor\tI\tWidth\tBG\tLength\t"
    b"Height\tArea\tPhi\tAxis Ratio\tValid\tLink\tXc\tYc\tZc\tXw\tYw\tZw\tXwc\tYwc\tZwc\r\n"
    b"1\t1\t2\t5\t9.5\t2\t3\t0\t5100\t320\t100\t2\t300\t5000\t0\t1\t1\t-1\t3\t4\t6\t11\t12\t15\t13\t"
    b"14\t16\r\n"
)
NIS_HEADER = "X\tY\tChannel\tWidth\tBG\tLength\tArea\tFrame\r\n"
NIS_BY_PICASSO = f"{NIS_HEADER}1.25\t2.5\t130\t12.50\t900\t17\t1\t1\r\n".encode()
NIS = f"{NIS_HEADER}1.25\t2.5\t1\t320.5\t100\t2\t5000\t17\r\n".encode()

NANOIMAGER = (
    b"Channel,Frame,X (nm),Y (nm),Z (nm),X precision (nm),Y precision (nm),Photons,Background\n"
    b"0,1548,40918.949219,56104.691406,0.000000,9.5,8.5,139.828232,0.848500\n"
)
ABBELIGHT = (
    b'"id","frame","x [nm]","y [nm]","z [nm]","sigma [nm]","intensity [photon]",'
    b'"amplitude [photon]","offset [photon]","bkgstd [photon]","uncertainty_xy [nm]",'
    b'"intDemixing [photon]","sigma_x [nm]","sigma_y [nm]","detections","ratio_demixing"\n'
    b"1,2,3.5,4.5,5,130,1000,50,10,3,8,400,128,132,1,0.4\n"
)
DECODE_CSV = (
    b"# DECODE EmitterSet\n"
    b'# {"version": "v0.10.0"}\n'
    b'# {"xy_unit": "px", "px_size": [100.0, 110.0]}\n'
    b"x,y,z,phot,frame_ix,id,prob,bg,phot_cr,bg_cr,phot_sig,bg_sig,x_cr,y_cr,z_cr,"
    b"x_sig,y_sig,z_sig\n"
    b"2.0,3.0,-50.0,900.0,0,0,0.9,20.0,,,30.0,2.0,0.01,0.02,,0.1,0.2,15.0\n"
)
SMAP_CSV = (
    b"frame,xnm,ynm,znm,locprecnm,locprecznm,phot,bg,LLrel,PSFxnm,PSFynm,channel,filenumber,"
    b"groupindex,numberInGroup,layer\n"
    b"1,10.5,20.5,-5,8,20,1000,15,-1.1,130,140,0,1,7,3,1\n"
)
CHALLENGE = (
    b"Ground-truth,frame,xnano,ynano,znano,intensity \n1, 20, 25713.33, 26788.90, 192.31, 1655.48\n"
)
MALK = b"# by hand\n1.5 2.5 0 100\n3.5 4.5 2 200\n5.5 6.5 2 300\n"
QUICKPALM = (
    b" \tIntensity\tX (px)\tY (px)\tX (nm)\tY (nm)\tZ (nm)\tLeft-Width(px)\tRight-Width (px)\t"
    b"Up-Height (px)\tDown-Height (px)\tX Symmetry (%)\tY Symmetry (%)\tWidth minus Height (px)\t"
    b"Frame Number\n"
    b"1\t500.0\t2.0\t3.0\t212.0\t318.0\t0.0\t1.5\t1.6\t1.7\t1.8\t95.0\t96.0\t0.1\t1.0\n"
)
TRACKMATE_KEYS = (
    "LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,POSITION_T,FRAME,RADIUS,VISIBILITY,"
    "MANUAL_SPOT_COLOR,MEAN_INTENSITY_CH1\n"
)
TRACKMATE_ROWS = "ID7,7,0,1.5,1.25,2.5,0.5,0.1,1,0.25,1,,120\nID8,8,,1.5,3,4,0,0.2,2,0.25,1,,130\n"
TRACKMATE = (
    f"{TRACKMATE_KEYS}"
    "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,Radius,Visibility,Manual spot color,"
    "Mean intensity ch1\n"
    "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,R,Visibility,Spot color,Mean ch1\n"
    ",,,(quality),(micron),(micron),(micron),(sec),,(micron),,,(counts)\n"
    f"{TRACKMATE_ROWS}"
).encode()
TRACKMATE_OLD = f"{TRACKMATE_KEYS}{TRACKMATE_ROWS}".encode()
THUNDERSTORM = (
    b'"id","frame","x [nm]","y [nm]","sigma [nm]","intensity [photon]","uncertainty_xy [nm]"\n'
    b"1,1,10.5,20.25,95,1000,9.5\n"
)
CSV = b"index,position_x,position_y,position_z,cluster_label,frame\n0,322,326,968,0, 0\n"

# Every file and the format that it, and no other, is recognised as.
SAMPLES: dict[str, tuple[str, bytes]] = {
    "zeiss-txt": ("zeiss-txt", ZEISS_TXT),
    "zeiss-csv": ("zeiss-csv", ZEISS_CSV),
    "zeiss-csv v2": ("zeiss-csv", ZEISS_CSV_V2),
    "rapidstorm": ("rapidstorm", RAPIDSTORM),
    "rapidstorm tracks": ("rapidstorm", RAPIDSTORM_TRACKS),
    "nstorm": ("nstorm", NSTORM),
    "nstorm old": ("nstorm", NSTORM_OLD),
    "nstorm v5": ("nstorm", NSTORM_V5),
    "nis": ("nstorm", NIS),
    "nis by Picasso": ("nstorm", NIS_BY_PICASSO),
    "nanoimager": ("nanoimager", NANOIMAGER),
    "abbelight": ("abbelight", ABBELIGHT),
    "decode-csv": ("decode-csv", DECODE_CSV),
    "smap-csv": ("smap-csv", SMAP_CSV),
    "challenge": ("challenge", CHALLENGE),
    "malk": ("malk", MALK),
    "quickpalm": ("quickpalm", QUICKPALM),
    "trackmate": ("trackmate", TRACKMATE),
    "trackmate old": ("trackmate", TRACKMATE_OLD),
    "thunderstorm": ("thunderstorm", THUNDERSTORM),
    "thunderstorm-xls": ("thunderstorm-xls", THUNDERSTORM.replace(b",", b"\t")),
    "csv": ("csv", CSV),
}
